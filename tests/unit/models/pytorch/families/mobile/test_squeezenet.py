from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.families.mobile.squeezenet import Fire, halve
from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create, key_maps_of
from convscope.models.variants.registry import variants

DATA = Path(__file__).resolve().parents[5].parent / "shared" / "data"

# Parameters before pruning, by module (table 1 of the paper).
TABLE_1 = {
    **{"conv1": 14_208, "fire2": 11_920, "fire3": 12_432, "fire4": 45_344, "fire5": 49_440},
    **{"fire6": 104_880, "fire7": 111_024, "fire8": 188_992, "fire9": 197_184, "conv10": 513_000},
}


def test_every_module_counts_as_table_1_says():
    net = create("squeezenet1_0")
    fires = [m for m in net.modules() if isinstance(m, Fire)]
    counts = [sum(p.numel() for p in m.parameters()) for m in (net.body.stem, *fires, net.head)]
    assert counts == list(TABLE_1.values())
    assert sum(counts) == variants["squeezenet1_0"].spec.published_parameters


def test_a_fire_module_is_its_formula():
    """Every place by hand: squeeze, then the 1×1 maps first and the 3×3 maps behind them, all after ReLU."""
    torch.manual_seed(0)
    fire = Fire(3, 2, 4).double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    squeezed = (
        torch.einsum("oi,nihw->nohw", fire.squeeze.weight[:, :, 0, 0], x) + fire.squeeze.bias.view(-1, 1, 1)
    ).relu()
    padded = nn.functional.pad(squeezed, (1, 1, 1, 1))
    expected = torch.zeros(1, 8, 4, 5, dtype=torch.float64)
    for i in range(4):
        for j in range(5):
            expected[0, :4, i, j] = (
                fire.expand1x1.weight[:, :, 0, 0] @ squeezed[0, :, i, j] + fire.expand1x1.bias
            )
            window = padded[0, :, i : i + 3, j : j + 3]
            expected[0, 4:, i, j] = (fire.expand3x3.weight * window).sum((1, 2, 3)) + fire.expand3x3.bias
    assert torch.allclose(fire(x), expected.relu(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("side", [2, 3, 4, 5, 6, 27, 28])
def test_pools_round_up_and_keep_the_edge(side):
    x = torch.zeros(1, 1, side, side)
    x[..., -1, -1] = 1.0
    pooled = halve()(x)
    assert pooled.shape[2:] == (side // 2, side // 2)  # ⌈(side − 1)/2⌉
    assert pooled[..., -1, -1] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "sides"),
    [
        ("squeezenet1_0", 224, [54, 54, 27, 13]),
        ("squeezenet1_1", 224, [55, 55, 27, 13]),
        ("squeezenet1_0", 64, [58, 58, 29, 14]),
        ("squeezenet1_0", 28, [22, 22, 11, 5]),
        ("squeezenet1_1", 28, [26, 26, 13, 6]),
    ],
)
def test_maps_by_stage(name, side, sides):
    with torch.device("meta"):
        maps = create(name, input_shape=(3, side, side)).eval().features(torch.zeros(1, 3, side, side))
    assert [m.shape[2] for m in maps.values()] == sides
    assert [m.shape[1] for m in maps.values()][-1] == 512


def test_the_small_form_steps_by_4_and_the_designed_form_by_16():
    for side, step in ((64, 4), (65, 16)):
        rows = summarise(create("squeezenet1_0", input_shape=(3, side, side))).rows
        assert next(row.stride for row in reversed(rows) if row.stride) == (step, step)


def test_version_1_1_takes_less_than_half_of_the_work():
    one, two = (variants[f"squeezenet1_{i}"].spec for i in (0, 1))
    assert two.macs < one.macs / 2 and two.parameters < one.parameters


def test_a_logit_is_the_mean_of_a_map_without_what_is_below_0():
    net = create("squeezenet1_1", input_shape=(3, 64, 64), classes=5).eval()
    with torch.no_grad():
        net.head[1].bias.copy_(torch.tensor([-1e3, 0.0, 0.0, 0.0, 1.0]))
        x = torch.randn(2, 3, 64, 64)
        *_, last = net.features(x).values()
        logits = net(x)
        maps = torch.einsum("ki,nihw->nkhw", net.head[1].weight[:, :, 0, 0], last) + net.head[1].bias.view(
            -1, 1, 1
        )
    assert torch.allclose(logits, maps.relu().mean((2, 3)), atol=1e-5)
    assert (logits[:, 0] == 0).all() and (logits[:, 4] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_the_first_loss_is_not_far_from_even(name):
    """A loss near ln 10 = 2.3; logits that start large are thrown below 0 by the first steps, and stay
    there."""
    torch.manual_seed(0)
    net = create(name, input_shape=(3, 32, 32), classes=10).eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(net(torch.randn(20, 3, 32, 32)), torch.arange(20) % 10)
    assert 2.2 < loss < 2.6


@pytest.mark.parametrize(
    "options", [{"stem": 0}, {"stem_kernel": 0}, {"stem": -3}, {"fires": []}, {"fires": [2, 0]}]
)
def test_options_that_make_no_sense(options):
    with pytest.raises(UserError, match=r"give (a whole number|one or more whole numbers) above 0"):
        create("squeezenet1_0", options=options)


def test_other_numbers_of_fire_modules_follow_the_rule_of_the_paper():
    net = create("squeezenet1_0", input_shape=(3, 32, 32), options={"fires": [1, 2]})
    squeezes = [m.squeeze.out_channels for m in net.modules() if isinstance(m, Fire)]
    assert list(net.stages) == ["stem", "stage1", "stage2"] and squeezes == [16, 16, 32]


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "weights").is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize("classes", [1000, 7])
def test_published_weights_fit(classes):
    """The weights trained on ImageNet load whole; for other classes all but the last convolution does."""
    with np.load(DATA / "weights" / "squeezenet1_0_imagenet.npz") as stored:
        weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
    net = create("squeezenet1_0", classes=classes)
    report = load_weights(net, weights, {"torchvision": key_maps_of("squeezenet1_0")["torchvision"]})
    assert (
        not any(name.startswith("body.") for name in report.missing)
        and report.reshaped == ()
        and report.unexpected == ()
    )
    assert report.whole == (classes == 1000)
    assert torch.equal(net.body.stem[0].weight, weights["features.0.weight"])
