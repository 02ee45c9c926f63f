"""Every network on the list can be started from its own weights, whatever head they were trained under."""

from __future__ import annotations

import pytest
import torch

from convscope.models.pretrained import Pretrained
from convscope.models.pytorch.hooks import eval_mode
from convscope.models.pytorch.pretrained import build_pretrained
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants
from convscope.training.pytorch.transfer import rate_scales
from distinct import DISTINCT

SIDE = 96  # of photographs; enough for five halvings and for the stem of Inception


@pytest.mark.parametrize("name", DISTINCT)
def test_a_body_is_taken_over_whole_under_a_linear_head(name):
    spec = variants[name].spec
    side = min(SIDE, spec.input_shape[1])
    shape = (spec.input_shape[0], side, side)
    trained = create(name, input_shape=shape, classes=4)
    weights = Pretrained(name, "itself", trained.state_dict(), (side, side))
    network, report = build_pretrained(weights, input_shape=shape, classes=3)
    body = trained.body.state_dict()
    assert all(torch.equal(value, body[key]) for key, value in network.body.state_dict().items())
    assert (
        len(report.loaded) == sum(not key.endswith("num_batches_tracked") for key in body)
        and not report.missing
    )
    x = torch.randn(2, *shape)
    with eval_mode(network), eval_mode(trained):
        maps = trained.body(x)
        assert torch.equal(network.body(x), maps) and network(x).shape == (2, 3)
        pooled = maps.mean(dim=(2, 3), keepdim=True)
        torch.testing.assert_close(network.head(pooled), network(x))
    scale = rate_scales(network, 0.5)
    scales = {key: scale(key) for key, _ in network.named_parameters()}
    assert {value for key, value in scales.items() if not key.startswith("body.")} == {1.0}
    assert all(value < 1.0 for key, value in scales.items() if key.startswith("body."))
