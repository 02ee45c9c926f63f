"""Pooling: `pool_windows` says where the windows lie; then maxima, means, and results of a fixed size."""
