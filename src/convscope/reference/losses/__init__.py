"""Losses of a classifier: `softmax` gives probabilities, `cross_entropy` and `focal_loss` rate them."""
