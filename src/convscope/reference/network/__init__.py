"""Networks: the dense layer, squeeze-and-excite, layers with weights, and `net` with its training loop."""
