"""A pipeline around a neural network whose backpropagation is written by hand in NumPy.

NumPy and SciPy pick their matrix kernels by processor, and each rounds in its own way. So that the same
commit gives the same bits on every x86-64 machine with AVX2, this package fixes the choice, whatever the
user's environment says, before they are imported for the first time. `training.blas: native` lifts it
(see `pipeline.blas`).
"""

import logging
import os
import platform

NATIVE = "PIPELINE_NATIVE"  # an environment variable: where it is set, the machine's own kernels are used

PORTABLE = (
    {
        "OPENBLAS_CORETYPE": "Haswell",
        "OPENBLAS_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    }
    if platform.machine() in {"x86_64", "AMD64"}
    else {}
)

COMPUTES_NATIVELY = NATIVE in os.environ  # whether it was set in time: NumPy, once imported, keeps its choice

if COMPUTES_NATIVELY:
    for name, value in PORTABLE.items():
        if os.environ.get(name) == value:
            del os.environ[name]  # from a process that computes portably and started this one
else:
    os.environ.update(PORTABLE)
    os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # NumPy takes no more than one of the two

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # or it tells of its caches and the user's settings
