"""Sweeps: many jobs, each done once, and one ranked table of them.

Hydra calls `callback` at the beginning and at the end. In between a launcher (`launchers`) starts each `job`
of the `plan`. The folder of a job says its `outcome`, and `ranking` compares those of all jobs.
"""
