"""Is anything drawn? A picture that is all white was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def ink(path: Path) -> float:
    """The share of pixels that are not white, of a PNG of sensible size."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) >= 200
        assert max(image.size) <= 4000
        return float((np.asarray(image.convert("L")) < 250).mean())
