"""How many processor cores there are to compute on."""


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has.

    It is what joblib counts, which starts a process a core: CPU affinity (`taskset`, a cluster's scheduler)
    and the limit of a container count.
    """
    from joblib import cpu_count  # takes a tenth of a second, which most programs need not wait for

    return int(cpu_count())
