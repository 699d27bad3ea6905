"""Formats and datasets."""
