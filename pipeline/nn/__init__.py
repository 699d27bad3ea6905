"""The mathematics: activations, losses, the network, backpropagation, optimizers and the training loop."""
