"""A pipeline around a neural network whose backpropagation is written by hand in NumPy."""
