"""Benchmarks: each a command that prints one table, with the targets beside what was measured."""
