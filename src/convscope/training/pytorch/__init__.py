"""The loop in PyTorch, to be read from top to bottom, and the parts it calls."""
