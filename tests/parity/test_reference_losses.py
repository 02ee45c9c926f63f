"""Losses in NumPy beside PyTorch's and beside measured gradients, over batches drawn at random."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import beside_torch as beside
from convscope.reference.losses.cross_entropy import cross_entropy, cross_entropy_backward
from convscope.reference.losses.focal_loss import focal_loss, focal_loss_backward
from convscope.tasks.classification.pytorch.losses import focal_loss as focal_loss_of_training

SEEDS = st.integers(0, 1000)
# The deviation of the logits. At 10 some answers are all but certain, and their gradients below what can be
# measured.
SCALES = st.sampled_from([0.1, 1.0, 10.0])


@st.composite
def batches(draw: st.DrawFn, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Logits N×K, labels N and, sometimes, weights K, which may be 0 for a class that no label names."""
    n, k, seed = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(SEEDS)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    weights = rng.uniform(0.1, 3, k)
    weights[np.setdiff1d(np.arange(k), labels)[:1]] = 0
    return scale * rng.standard_normal((n, k)), labels, draw(st.sampled_from([None, weights]))


@settings(max_examples=80)
@given(scale=SCALES, smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]), data=st.data())
def test_cross_entropy(scale, smoothing, data):
    logits, labels, weights = data.draw(batches(scale))
    options = {"labels": labels, "weights": weights, "smoothing": smoothing}

    def theirs(t):
        w = None if weights is None else torch.tensor(weights, dtype=t.dtype)
        return F.cross_entropy(t, torch.tensor(labels), weight=w, label_smoothing=smoothing)

    ours, backward = partial(cross_entropy, **options), partial(cross_entropy_backward, **options)
    beside.agree(ours, backward, theirs, logits, gradients=scale <= 1)


@settings(max_examples=80)
@given(scale=SCALES, gamma=st.sampled_from([0, 0.5, 1, 2, 5]), data=st.data())
def test_focal_loss(scale, gamma, data):
    logits, labels, weights = data.draw(batches(scale))
    options = {"labels": labels, "weights": weights, "gamma": gamma}
    w = torch.tensor(np.ones(logits.shape[1]) if weights is None else weights)[labels]

    def theirs(t):
        log_p = F.log_softmax(t, dim=1)[torch.arange(len(labels)), labels]
        # Above 0, because the gradient of x^γ is infinite there for γ below 1.
        return -(w * (-torch.expm1(log_p)).clamp_min(1e-300) ** gamma * log_p).sum() / w.sum()

    ours, backward = partial(focal_loss, **options), partial(focal_loss_backward, **options)
    beside.agree(ours, backward, theirs, logits, gradients=scale <= 1)


@settings(max_examples=30)
@given(batch=batches(10.0))
def test_without_gamma_focal_loss_is_cross_entropy(batch):
    logits, labels, weights = batch
    ours = focal_loss(logits, labels, gamma=0, weights=weights)
    assert ours == pytest.approx(cross_entropy(logits, labels, weights=weights), rel=1e-13)
    beside.near(
        focal_loss_backward(1.0, logits, labels, gamma=0, weights=weights),
        cross_entropy_backward(1.0, logits, labels, weights=weights),
        1e-13,
        largest=1.0,
    )


def test_the_focal_loss_of_training_is_this_one():
    logits, labels = beside.normal(50, 10), np.arange(50) % 10
    theirs = float(focal_loss_of_training(torch.tensor(logits), torch.tensor(labels)))  # computed in float32
    assert focal_loss(logits, labels) == pytest.approx(theirs, rel=1e-5)


def test_sure_answers_have_a_loss_and_a_gradient():
    # p = 1 to the last digit, and p = 0: no logarithm of 0, no 0/0.
    logits = np.array([[2000.0, 0.0], [0.0, 2000.0]])
    labels = np.array([0, 0])
    assert cross_entropy(logits, labels) == 1000.0
    beside.near(cross_entropy_backward(1.0, logits, labels), [[0, 0], [-0.5, 0.5]], 0.0)
    for gamma in (0.5, 2.0):
        assert focal_loss(logits, labels, gamma=gamma) == 1000.0
        beside.near(focal_loss_backward(1.0, logits, labels, gamma=gamma), [[0, 0], [-0.5, 0.5]], 0.0)
