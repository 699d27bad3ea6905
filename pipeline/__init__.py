"""A pipeline around a neural network whose backpropagation is written by hand in NumPy."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # or it tells of its caches and the user's settings
