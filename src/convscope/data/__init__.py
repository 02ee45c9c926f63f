"""From a path to batches: sources, scan, split, the one preprocessing, the cache, augmentation, the
loader.
"""
