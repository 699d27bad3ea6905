"""A run: its folder, and what is written to it and read from it."""
