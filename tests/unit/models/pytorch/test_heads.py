from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.heads import Standardise, average_head, dense_head, linear_head


def test_dense_head_checks_its_numbers():
    assert dense_head(7, 3, dropout=0.5)(4, 2, 2)(torch.zeros(2, 4, 2, 2)).shape == (2, 3)
    for dropout in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match="dropout"):
            dense_head(7, 3, dropout=dropout)
    with pytest.raises(UserError, match="hidden"):
        dense_head(0, 3, dropout=0.0)


def test_average_head_is_the_mean_of_each_map():
    head = average_head(3)(4, 2, 5)
    x = torch.randn(2, 4, 2, 5)
    assert torch.allclose(head(x), x.mean((2, 3)) @ head[2].weight.T + head[2].bias, atol=1e-6)


def test_average_head_drops_before_the_linear_layer():
    head = average_head(3, dropout=0.5)(4, 2, 2)
    assert [type(layer) for layer in head] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Linear]
    for dropout in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"dropout is .*; give a fraction from 0"):
            average_head(3, dropout=dropout)


def test_the_linear_head_reads_standardised_means():
    head = linear_head(5)(4, 3, 3)
    assert [type(layer) for layer in head] == [nn.AdaptiveAvgPool2d, nn.Flatten, Standardise, nn.Linear]
    assert head(torch.randn(2, 4, 3, 3)).shape == (2, 5)
