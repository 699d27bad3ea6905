"""How many processor cores there are to compute on, and how many of them matrix products use."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

from pipeline.support.errors import tell


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has.

    It is what joblib counts, which starts a process a core: CPU affinity (`taskset`, a cluster's scheduler)
    and the limit of a container count.
    """
    from joblib import cpu_count  # takes a tenth of a second, which most programs need not wait for

    return int(cpu_count())


@contextmanager
def product_threads(threads: int) -> Iterator[None]:
    """Have matrix products use so many threads, within the block.

    Where fewer cores may be used, the user is warned: threads that wait for one another can take a hundred
    times as long.
    """
    if threads > 1 and threads > (cores := usable_cores()):
        number = f"{cores} cores" if cores > 1 else "1 core"
        tell(f"training.threads = {threads}: {number} may be used here, so expect training to crawl")
    with ThreadpoolController().select(user_api="blas").limit(limits=threads):
        yield
