"""The stage `train`: train the network on `data/processed`; a Hydra application of its own as well.

Under DVC it runs on `params.yaml`. From the command line, `python -m pipeline.train key=value …`, it composes
its configuration from `conf/`, and with `-m` it sweeps. Either way it fills a run's folder, which is Hydra's
output folder, and under DVC the repository's root. A generated problem (`dataset=xor`) needs no
`data/processed`. With `--dry` it only shows what it would train.
"""

from pipeline.support.program import program

import os
import sys
from contextlib import suppress
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from pipeline.config.messages import composing
from pipeline.config.reading import check_aliases, read_composed, write_params
from pipeline.config.schema import Config
from pipeline.runs.checkpoints import remove_checkpoint
from pipeline.runs.fingerprint import fingerprint
from pipeline.runs.run import Run
from pipeline.runs.training import train_run
from pipeline.support.errors import one_line_errors, shorten
from pipeline.support.files import ROOT, relative
from pipeline.sweeps.launchers import lost_processes
from pipeline.tracking import MirrorProcess

CONF = ROOT / "conf"


def train_and_record(config: Config, folder: Path) -> None:
    """Train as `config` says into `folder`, and track the run.

    `config` is also written there, to `params.yaml`, except in DVC's run, which it was read from.

    Raises:
        UserError: if the data do not fit the configuration, or training diverges.
    """
    run = Run(folder)
    if not run.is_dvcs():
        write_params(config, run.params)
    with MirrorProcess(run, config, "train"):
        train_run(config, run)
    remove_checkpoint(fingerprint(config))


def replace_dry(arguments: list[str]) -> list[str]:
    """Return `arguments` with what Hydra understands in place of `--dry`.

    It stands beside the other overrides, since Hydra's parser takes them only in a row.
    """
    if "--dry" not in arguments:
        return arguments
    others = [each for each in arguments if each != "--dry"]
    overrides = (i for i, each in enumerate(others) if "=" in each and not each.startswith("-"))
    others.insert(next(overrides, len(others)), "hydra.callbacks.sweep.dry=true")
    return others


def check_chosen_config() -> None:
    """Raise `UserError` if the file of `--config-name` has so many aliases that Hydra would need hours."""
    chosen, _ = get_args_parser().parse_known_args()
    if not chosen.config_name:
        return
    name = chosen.config_name.removesuffix(".yaml").removesuffix(".yml")  # as Hydra does
    for folder in filter(None, (chosen.config_dir, chosen.config_path, CONF)):
        path = Path(folder, f"{name}.yaml")
        if path.is_file():
            check_aliases(path.read_text(encoding="utf-8"), str(relative(path)))


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(values: DictConfig) -> float | None:
    """Train on the configuration that Hydra composed; return the error of a sweep's job, for the sweeper."""
    with suppress(FileNotFoundError):  # on another machine, which `run_job` tells of
        os.chdir(HydraConfig.get().runtime.cwd)  # all is found from there, whatever hydra.job.chdir says
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        from pipeline.sweeps.job import run_job

        return run_job(values)
    with one_line_errors():
        run = Run(relative(HydraConfig.get().runtime.output_dir))
        train_and_record(read_composed(values), run.folder)
        print(f"model and history: {run.model}, {run.history}", flush=True)
        return None


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # have Hydra raise its errors, not print them
    sys.argv = replace_dry(sys.argv)
    stage = "train" if "hydra.run.dir=." in sys.argv else None  # DVC's: see dvc.yaml
    with program(stage=stage), composing(shorten(" ".join(sys.argv[1:]), 200)), lost_processes():
        check_chosen_config()
        main()
