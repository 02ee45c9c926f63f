"""The networks: what they are (`spec`) and, for each framework, how they are built."""
