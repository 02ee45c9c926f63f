"""Several runs: side by side, over seeds, and networks under one budget."""
