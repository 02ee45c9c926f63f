"""The inside of a PyTorch network: hooks on its layers, gradients through it, and the Probe made of both."""
