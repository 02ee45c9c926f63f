"""Convolution: the definition, and four methods that must give the same numbers.

`conv2d` defines it, `sliding_window` has the loops, `im2col`, `fft` and `winograd` are faster.
`depthwise` filters every channel by itself; `transposed` uses the gradient of a convolution as a layer.
"""
