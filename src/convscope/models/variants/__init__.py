"""The networks as tables: what each is called, comes from, takes and counts. No framework, and no NumPy."""
