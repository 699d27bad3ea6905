"""Register the best run's model, or a given one's, and say how to serve it: `python -m pipeline.promote`."""

from pipeline.support.program import command, program

import argparse
import math
import shlex

from pipeline.config.reading import read_params
from pipeline.support.errors import public
from pipeline.tracking.registry import PARTS, promote_best, promote_run
from pipeline.tracking.store import address, one_line_on_failures

PORT = 5001


def main() -> None:
    """Promote the run that the command line asks for: the best of an experiment, or a given one."""
    parser = argparse.ArgumentParser(
        prog=command(), description="Register the best run's model and say how to serve it."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("experiment", nargs="?", help="by default the title of the dataset in params.yaml")
    which.add_argument("--run", metavar="ID", help="promote this run, not the best")
    parser.add_argument("--alias", default="champion", help="what the model is called by (default: champion)")
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="the part on which the best is the best (default: validation, where runs have that part)",
    )
    arguments = parser.parse_args()
    if arguments.run and arguments.part:
        parser.error("argument --part: not allowed with argument --run")
    with one_line_on_failures():
        if arguments.run:
            promoted = promote_run(arguments.run, arguments.alias)
        else:
            experiment = arguments.experiment or read_params().dataset.title
            promoted = promote_best(experiment, arguments.alias, arguments.part)
    print(f"{promoted.uri} is version {promoted.version}: {promoted.description}")
    request = f"curl http://127.0.0.1:{PORT}/invocations --json"
    if promoted.image_shape:
        rows, *columns = promoted.image_shape
        size = rows * math.prod(columns)
        what = (
            f"what an image of {size} numbers from 0 to 1 shows; {rows} rows of"
            f" {' × '.join(map(str, columns))} do as well"
        )
        ask = f"python -c 'import json; print(json.dumps({{\"inputs\": [[0.0] * {size}]}}))' | {request} @-"
    else:
        what = "about examples, such as the first of the training part"
        ask = f"{request} {shlex.quote(promoted.example)}"
    print(f"Serve it, and ask it {what}.")
    print(
        f"  {environment()}mlflow models serve --env-manager local --port {PORT} --model-uri {promoted.uri}"
    )
    print(f"  {ask}")


def environment() -> str:
    """Return what a command begins with that works on this store; an address with a password is left out."""
    return f"MLFLOW_TRACKING_URI={shlex.quote(address())} " if public(address()) == address() else ""


if __name__ == "__main__":
    with program():
        main()
