"""The truth: a convolutional network in nothing but NumPy, with every derivation written down.

Start with `shapes` and `gradcheck`: which sizes fit, and how a derived gradient is tested. Then
`convolution`, `pooling`, `activations`, `normalisation` and `losses`: each operation, forward and backward.
`training` has what moves the weights, `network` builds layers and a training loop from all of it, and `lenet`
is LeNet-5.

Everywhere y = f(x) has a partner `f_backward`, which takes dy = ∂L/∂y and returns ∂L/∂x, where L is the loss.
"""
