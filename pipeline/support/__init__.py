"""Errors, files and programs: what every other part of the project stands on."""
