"""The truth: a convolutional network in nothing but NumPy, every derivation written down."""
