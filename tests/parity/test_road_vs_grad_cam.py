"""ROAD's imputation beside that of pytorch-grad-cam, which took it from the authors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convscope.models.pytorch.torchvision_cpu import allow_torchvision

allow_torchvision()

from pytorch_grad_cam.metrics.road import NoisyLinearImputer  # noqa: E402

from convscope.explanation.faithfulness.road import imputed  # noqa: E402


@pytest.mark.filterwarnings(
    "ignore:__array_wrap__:DeprecationWarning"
)  # the package asks NumPy about a tensor
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (24, 31, 3)])
def test_without_noise_both_fill_in_the_same(height, width, channels, share):
    rng = np.random.default_rng(7)
    image, gone = rng.random((height, width, channels), np.float32), rng.random((height, width)) < share
    filled = NoisyLinearImputer(noise=0)(
        torch.from_numpy(image.transpose(2, 0, 1)), torch.from_numpy((~gone).astype(np.float64))
    )
    # The package solves in float64 and keeps float32.
    ours = imputed(image, gone)
    assert np.abs(filled.numpy().transpose(1, 2, 0) - ours).max() <= 1e-6 * np.abs(ours).max()


def test_other_weights_would_be_noticed(monkeypatch):
    rng = np.random.default_rng(7)
    image, gone = rng.random((20, 20, 1)), rng.random((20, 20)) < 0.5
    right = imputed(image, gone)
    monkeypatch.setattr(
        "convscope.explanation.faithfulness.road.NEIGHBOURS",
        [(0, 1, 0.5), (0, -1, 0.5), (1, 0, 0.5), (-1, 0, 0.5)],
    )
    assert np.abs(imputed(image, gone) - right).max() > 1e-2
