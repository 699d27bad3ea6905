"""How many cores a process counts that may not use all of them."""

import os
import subprocess
import sys

import pytest

from tests.commands import ROOT


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the system lets no process choose its cores"
)
def test_cores_that_the_process_may_not_use_do_not_count() -> None:
    count = "from pipeline.support.cores import usable_cores; print(usable_cores())"
    first = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-c", count],
        cwd=ROOT,
        preexec_fn=lambda: os.sched_setaffinity(0, {first}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
