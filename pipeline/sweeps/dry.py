"""What `--dry` prints: the jobs of a sweep, or a single training, and their epochs. Nothing is trained."""

from dataclasses import asdict

from omegaconf import DictConfig

from pipeline.config.reading import read_composed
from pipeline.config.schema import run_name
from pipeline.sweeps.plan import Plan, check_data
from pipeline.sweeps.search import Search


def show_training(values: DictConfig) -> None:
    """Print the training that Hydra composed.

    Raises:
        UserError: if it cannot work.
    """
    config = read_composed(values)
    [title] = check_data([config])
    print(f"{run_name(asdict(config))}, on {title}: {config.training.epochs} epochs")


def show_sweep(plan: Plan) -> None:
    """Print the jobs that are planned, and how many epochs they take together."""
    print(f"{plan.name}, on {plan.title}")
    if not plan.jobs:
        print("the sweeper chooses the jobs as it goes")
        return
    first = rungs_of(plan.search) if plan.search else plan.epochs
    for number, (name, until, epochs) in enumerate(zip(plan.names, first, plan.epochs, strict=True)):
        print(f"job {number}: {name or 'the only one'}: {until} of {epochs} epochs")
    if plan.search:
        for rung, epoch in enumerate(plan.search.rungs):
            left = sum(plan.search.sizes(bracket)[rung] for bracket in range(len(plan.search.brackets)))
            print(f"up to epoch {epoch}: {left * plan.search.seeds} jobs")
    epochs = plan.search.epochs() if plan.search else sum(plan.epochs)
    print(f"together {epochs:,} of {sum(plan.epochs):,} epochs")


def rungs_of(search: Search) -> list[int]:
    """Return up to which epoch each job of a `search` is trained at first."""
    return [
        search.rungs[bracket]
        for bracket in range(len(search.brackets))
        for configuration in search.configurations(bracket)
        for _ in search.numbers(configuration)
    ]
