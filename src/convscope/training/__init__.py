"""One loop a person reads top to bottom, and the parts it calls."""
