"""The one place where the golden tests reach below the public names."""

from convscope.models.pytorch.zoo import create, networks

__all__ = ["create", "networks"]
