from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.families.residual.densenet import DenseLayer, dense_block
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants

FAMILY = ("densenet121", "densenet161", "densenet169", "densenet201")


def on_meta(name, side=224, **changes):
    with torch.device("meta"):
        return create(name, input_shape=(3, side, side), **changes).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_layers_with_weights_are_as_many_as_the_name_says(name):
    layers = [m for m in on_meta(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == int(name.removeprefix("densenet"))


@pytest.mark.parametrize("name", FAMILY)
def test_counts_and_fields_by_the_formula(name):
    """A layer: norm of all maps, 1×1 to 4k, norm, 3×3 to k. A transition: norm, 1×1 to half. 3×3 adds two
    steps.
    """
    spec = variants[name].spec
    k, blocks = spec.options["growth"], spec.options["blocks"]
    maps = 2 * k
    total = 49 * 3 * maps + 2 * maps
    field, step = 7 + 2 * 2, 4
    for i, layers in enumerate(blocks):
        if i:
            total += 2 * maps + maps * (maps // 2)
            maps, field, step = maps // 2, field + step, 2 * step
        for _ in range(layers):
            total += 2 * maps + maps * 4 * k + 8 * k + 9 * 4 * k * k
            maps, field = maps + k, field + 2 * step
    total += 2 * maps + maps * 1000 + 1000
    assert (spec.parameters, spec.receptive_field) == (total, field)


def test_a_layer_passes_on_what_it_got_and_adds_its_own():
    torch.manual_seed(0)
    layer = DenseLayer(6, 3).eval()
    x = torch.randn(2, 6, 5, 4)
    norm1, _, conv1, norm2, _, conv2 = layer
    with torch.no_grad():
        for norm in (norm1, norm2):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
        y = layer(x)

        def normed(norm, x):
            shift, scale = (
                norm.running_mean.view(-1, 1, 1),
                (norm.running_var + norm.eps).sqrt().view(-1, 1, 1),
            )
            return ((x - shift) / scale).relu()

        few = torch.einsum("oi,nihw->nohw", conv1.weight[:, :, 0, 0], normed(norm1, x))
        new = nn.functional.conv2d(normed(norm2, few), conv2.weight, padding=1)
    assert y.shape == (2, 9, 5, 4) and torch.equal(y[:, :6], x)
    assert few.shape[1] == 12 and torch.allclose(y[:, 6:], new, atol=1e-5)


@settings(max_examples=15)
@given(inputs=st.integers(1, 9), growth=st.integers(1, 5), layers=st.integers(1, 5))
def test_a_block_grows_by_its_growth_and_overwrites_nothing(inputs, growth, layers):
    x = torch.randn(2, inputs, 3, 3)
    y = dense_block(inputs, growth, layers).eval()(x)
    assert y.shape == (2, inputs + layers * growth, 3, 3) and torch.equal(y[:, :inputs], x)


def test_the_last_layer_of_a_block_sees_the_first_one_directly():
    """With all other layers' own weights at 0 a change of the first layer's maps still reaches the last
    one."""
    block = dense_block(2, 2, 3).eval()
    nn.init.zeros_(block.layer2[5].weight)
    x = torch.randn(1, 2, 4, 4)
    with torch.no_grad():
        before = block(x)
        block.layer1[5].weight.mul_(-2)
        after = block(x)
    assert torch.equal(before[:, 4:6], after[:, 4:6]) and not torch.allclose(before[:, 6:], after[:, 6:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (224, [56, 56, 28, 14, 7, 7]),
        (64, [64, 64, 32, 16, 8, 8]),
        (32, [32, 32, 16, 8, 4, 4]),
        (28, [28, 28, 14, 7, 4, 4]),
    ],
)
def test_maps_by_stage(side, sides):
    net = on_meta("densenet121", side)
    maps = net.features(torch.zeros(1, 3, side, side, device="meta"))
    assert [m.shape[2] for m in maps.values()] == sides
    assert [m.shape[1] for m in maps.values()] == [64, 256, 512, 1024, 1024, 1024]
    step = next(row.stride for row in reversed(summarise(net).rows) if row.stride)
    assert step == ((8, 8) if side <= 64 else (32, 32))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"growth": 0}, "growth is 0; give a whole"),
        ({"blocks": []}, "one or more"),
        ({"blocks": [3, 0]}, "above 0"),
    ],
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(UserError, match=says):
        create("densenet121", options=options)


def test_other_numbers_of_blocks_make_as_many_stages():
    net = on_meta("densenet121", 32, options={"growth": 4, "blocks": [2, 3]})
    assert list(net.stages) == ["stem", "stage1", "stage2", "last"]
    assert net.head[2].in_features == (8 + 2 * 4) // 2 + 3 * 4
