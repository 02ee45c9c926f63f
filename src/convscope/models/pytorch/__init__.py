"""The networks in PyTorch, a family a file, and the one place that chooses a device."""
