"""Runnable experiments. Each docstring promises command, minutes, hardware and score."""
