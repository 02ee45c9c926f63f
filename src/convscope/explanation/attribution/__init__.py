"""Which pixels counted for a class: the methods, in NumPy over a Probe or over predictions alone."""
