"""From a path to batches: sources, scan, split, the one preprocessing, cache, augmentation, loader."""
