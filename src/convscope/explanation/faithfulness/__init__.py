"""How far a map may be believed, and which method deserves it most on a network."""
