"""Looking at images before any training: what is broken, odd, duplicated or mislabelled."""
