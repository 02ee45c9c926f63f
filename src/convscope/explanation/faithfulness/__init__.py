"""How far a heat map may be believed, and which method deserves it most on a network."""
