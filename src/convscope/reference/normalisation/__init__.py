"""Normalisation: `standardise` holds the mathematics; the norms differ in the axes that they average over."""
