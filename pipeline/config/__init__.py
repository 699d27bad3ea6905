"""The schema of every configuration, and how a wrong one is explained."""
