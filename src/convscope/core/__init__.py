"""Contracts, errors, configuration, the registry and the bundle. No torch."""
