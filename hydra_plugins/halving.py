"""Hydra looks for plugins in `hydra_plugins` only: this one does what `pipeline.sweeps.halving` says.

Hydra imports this module for a single training as well, so nothing heavy is imported at the top.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class HalvingSweeper(Sweeper):
    """Successive halving, chosen by `hydra/sweeper=halving`; the settings are in the sweep's plan."""

    def __init__(self, **settings: Any) -> None:
        """Take what `hydra.sweeper` holds, which was checked when the plan was made."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: Sequence[str]) -> None:
        from pipeline.sweeps.halving import run_search

        assert self.launcher and self.config  # `setup` has been called
        run_search(self.launcher, self.config)
