"""Figures about answers. Everything here takes any Predictor."""
