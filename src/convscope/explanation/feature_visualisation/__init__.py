"""What a network learned: its filters, maps and units, what its places see, and where it puts images."""
