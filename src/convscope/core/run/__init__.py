"""The folder of a run: where it lies, its history, and what it says of itself."""
