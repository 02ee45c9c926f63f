"""Logits for a whole split, a batch at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit

BATCH = 256  # 38 MB of pixels at 224×224×3


def predict_split(
    predictor: Predictor, part: PreparedSplit, *, what: str = "predict", progress: Progress | None = None
) -> NDArray[np.float32]:
    """Logits n×K for the n images of a split, in their order; `progress` is called after each batch."""
    logits = []
    for number, images in enumerate(part.batches(BATCH)):
        logits.append(predictor.predict(images))
        if progress:
            progress(what, min((number + 1) * BATCH, len(part)), len(part))
    # NumPy refuses to concatenate nothing.
    return np.concatenate(logits) if logits else np.empty((0, len(predictor.classes)), np.float32)
