"""Labels that are likely to be wrong."""
