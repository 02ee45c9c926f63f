from __future__ import annotations

import numpy as np
import pytest

from convscope.reference.arrays import ShapeError
from convscope.reference.network.squeeze_excite import squeeze_excite, squeeze_excite_backward

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 6, 4, 5))
WEIGHTS = {
    "w1": RNG.standard_normal((3, 6)),
    "b1": np.ones(3),
    "w2": RNG.standard_normal((6, 3)),
    "b2": np.zeros(6),
}


def test_there_is_one_gate_a_map():
    gates = squeeze_excite(X, **WEIGHTS) / X
    np.testing.assert_allclose(gates, np.broadcast_to(gates[:, :, :1, :1], X.shape))
    assert ((gates > 0) & (gates < 1)).all()


def test_open_and_closed_gates():
    for bias, expected in ((1000.0, X), (-1000.0, np.zeros_like(X))):
        still = {**WEIGHTS, "w2": np.zeros((6, 3)), "b2": np.full(6, bias)}
        np.testing.assert_array_equal(squeeze_excite(X, **still), expected)


def test_moving_pixels_moves_the_result_alike():
    # The gate sees the mean of a map, to which all positions are the same.
    np.testing.assert_allclose(
        squeeze_excite(np.roll(X, 2, axis=3), **WEIGHTS), np.roll(squeeze_excite(X, **WEIGHTS), 2, 3)
    )


def test_precision():
    single = {name: w.astype(np.float32) for name, w in WEIGHTS.items()}
    assert squeeze_excite(X.astype(np.float32), **single).dtype == np.float32
    assert squeeze_excite(np.ones((1, 6, 2, 2), int), **WEIGHTS).dtype == np.float64


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"w1": np.ones((3, 5))}, "same D"),
        ({"w2": np.ones((6, 4))}, "same D"),
        ({"b1": np.ones(2)}, r"b has shape \(2,\)"),
        ({"w2": np.ones((5, 3)), "b2": np.zeros(5)}, r"the gate has shape \(2, 5\) and needs \(2, 6\)"),
    ],
)
def test_sizes_that_do_not_fit(changed, message):
    for call in (lambda w: squeeze_excite(X, **w), lambda w: squeeze_excite_backward(X, X, **w)):
        with pytest.raises(ShapeError, match=message):
            call({**WEIGHTS, **changed})
    with pytest.raises(ShapeError, match="dy has shape"):
        squeeze_excite_backward(X[:1], X, **WEIGHTS)
