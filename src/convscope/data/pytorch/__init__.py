"""Training batches as tensors: loading, augmenting and normalising whole batches."""
