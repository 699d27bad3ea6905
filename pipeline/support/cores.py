"""The number of processor cores that may be used, and the number that matrix products use."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

from pipeline.support.errors import warn


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has.

    CPU affinity (`taskset`, a cluster's scheduler) and the limit of a container count, as they do for joblib.
    """
    from joblib import cpu_count  # here, since it takes a tenth of a second and few programs need it

    return int(cpu_count())


@contextmanager
def product_threads(threads: int) -> Iterator[None]:
    """Let matrix products in the block use this number of `threads`.

    The user is warned if fewer cores may be used: threads that wait for one another can take a hundred times
    as long.
    """
    if threads > 1 and threads > (cores := usable_cores()):
        number = f"{cores} cores" if cores > 1 else "1 core"
        warn(f"training.threads = {threads}: {number} may be used here, so expect training to crawl")
    with ThreadpoolController().select(user_api="blas").limit(limits=threads):
        yield
