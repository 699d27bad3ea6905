"""Benchmarks: each a command that prints one table, with the targets beside what was measured."""

import pipeline  # noqa: F401 - before NumPy, which picks its kernels when it is imported
