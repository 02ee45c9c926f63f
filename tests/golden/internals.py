"""The one place where the golden tests reach below the public names."""

from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants as networks

__all__ = ["create", "networks"]
