"""Looking at images before any training: what is broken, odd, doubled or mislabelled."""
