from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convscope.core.errors import UserError
from convscope.tasks.classification.imbalance import class_weights, sampling_weights

COUNTS = [60, 30, 10, 1]


@given(hnp.arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 10**6)))
def test_the_mean_weight_of_an_image_is_one(counts):
    if not counts.any():
        with pytest.raises(UserError, match="no training images"):
            class_weights(counts)
        return
    weights = class_weights(counts)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0)
    assert ((weights == 0) == (counts == 0)).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_every_class_is_drawn_equally_often(labels):
    weights = sampling_weights(labels)
    assert weights.sum() == pytest.approx(1.0)
    fraction = np.bincount(labels, weights=weights)
    present = sorted(set(labels))
    assert fraction[present] == pytest.approx(1.0 / len(present))


def test_class_weights_are_scikit_learns_balanced_ones():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat(np.arange(4), COUNTS)
    assert class_weights(COUNTS) == pytest.approx(
        compute_class_weight("balanced", classes=np.arange(4), y=labels)
    )
