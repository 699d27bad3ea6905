"""Sweeps: many jobs, each done once, and one ranked table of them."""
