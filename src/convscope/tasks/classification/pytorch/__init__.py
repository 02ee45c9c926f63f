"""The classification losses as torch computes them."""
