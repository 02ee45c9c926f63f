from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convscope.core.errors import ShapeError
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants


# Of every network on the list tests/contract counts them on shapes alone; here numbers are computed, too.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "small_cnn", "resnet20", "squeezenet1_1", "mobilenet_v3_small"])
def test_macs_are_half_of_what_torch_counts(name):
    """torch counts floating-point operations, two for each multiply-accumulate, and leaves out the same
    layers.
    """
    net = create(name).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *net.spec.input_shape))
    assert 2 * summarise(net).macs == counter.get_total_flops()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 4, 3, groups=4, stride=2, padding=1),
        nn.Conv2d(4, 8, (1, 5), dilation=2),
        nn.ConvTranspose2d(4, 6, 3, stride=2),
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        nn.Linear(9, 5),
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 12 * 9, 3, bias=False)),
    ],
)
def test_macs_of_unusual_layers(layer):
    net = nn.Sequential(layer)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 4, 12, 9))
    assert 2 * summarise(net, (4, 12, 9)).macs == counter.get_total_flops()


def column(summary, kind, attribute):
    return [getattr(row, attribute) for row in summary.rows if row.kind == kind]


def test_small_cnn_as_worked_out_by_hand():
    summary = summarise(create("small_cnn"))
    assert column(summary, "MaxPool2d", "receptive_field") == [(4, 4), (10, 10)]
    assert column(summary, "MaxPool2d", "stride") == [(2, 2), (4, 4)]
    assert column(summary, "MaxPool2d", "output") == [(32, 16, 16), (64, 8, 8)]
    assert column(summary, "Conv2d", "macs") == [32 * 32 * 32 * 27, 64 * 16 * 16 * 288]
    assert column(summary, "Linear", "receptive_field") == [None, None]


def test_deeper_cnn_as_worked_out_by_hand():
    summary = summarise(create("deeper_cnn"))
    # stem 3; each stage: + 2 · stride for the convolution, + stride for the pool.
    assert column(summary, "MaxPool2d", "receptive_field") == [(6, 6), (12, 12), (24, 24)]
    assert summary.receptive_field == (24, 24)


def test_the_branch_that_sees_most_counts_though_another_one_is_called_last():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = (
                nn.Conv2d(3, 2, (5, 1), padding=(2, 0)),
                nn.Conv2d(3, 2, (1, 3), padding=(0, 1)),
            )

        def forward(self, x):
            return torch.cat([self.wide(x), self.narrow(x)], 1)

    summary = summarise(nn.Sequential(Beside(), nn.Flatten(), nn.Linear(4 * 8 * 8, 2)), (3, 8, 8))
    assert [row.receptive_field for row in summary.rows] == [(5, 1), (1, 3), None, None]
    assert summary.receptive_field == (5, 3)
    assert summarise(nn.Sequential(nn.Flatten()), (3, 8, 8)).receptive_field is None


@pytest.mark.parametrize(
    ("name", "receptive_field"),
    [("alexnet", 195), ("vgg11", 150), ("vgg16", 212), ("inception_v3", 1311), ("mobilenet_v1", 315)],
)
def test_fields_are_those_that_were_published(name, receptive_field):
    """The table beside Araujo, Norris & Sim (2019), of networks that it has in the same form."""
    assert variants[name].spec.receptive_field == receptive_field


@pytest.mark.parametrize(("depth", "receptive_field"), [(20, 81), (32, 137), (44, 193)])
def test_resnets_as_worked_out_by_hand(depth, receptive_field):
    """3 + 2n·2 + (2 + 4 + (n − 1)·8) + (4 + 8 + (n − 1)·16) for n blocks a stage."""
    n = (depth - 2) // 6
    assert receptive_field == 3 + 4 * n + 6 + 8 * (n - 1) + 12 + 16 * (n - 1)
    assert summarise(create(f"resnet{depth}")).receptive_field == (receptive_field, receptive_field)


def test_another_input_size():
    summary = summarise(create("deeper_cnn"), (3, 64, 48))
    assert summary.input_shape == (3, 64, 48)
    assert column(summary, "MaxPool2d", "output")[-1] == (256, 8, 6)


def test_shared_layers_count_once():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    summary = summarise(nn.Sequential(conv, nn.ReLU(), conv), (3, 8, 8))
    assert [row.parameters for row in summary.rows] == [84, 0, 0]
    assert summary.parameters == 84
    assert summary.rows[0].macs == summary.rows[2].macs > 0


def test_frozen_parameters_are_told_apart():
    net = create("simple_cnn")
    for p in net.body.parameters():
        p.requires_grad_(False)
    summary = summarise(net)
    assert summary.trainable == sum(p.numel() for p in net.head.parameters()) < summary.parameters


def test_a_summary_leaves_the_network_alone():
    net = create("small_cnn")
    before = {k: v.clone() for k, v in net.state_dict().items()}
    summarise(net)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert net.training and all(m.training for m in net.modules())


def test_an_image_that_does_not_fit():
    with pytest.raises(
        ShapeError, match=r"small_cnn does not take 3×48×48 images: layer head\.1 \(Linear\) got 9216"
    ):
        summarise(create("small_cnn"), (3, 48, 48))
    with pytest.raises(ShapeError, match="Sequential does not say which images it takes"):
        summarise(nn.Sequential(nn.ReLU()))


def test_for_programs_and_for_people():
    summary = summarise(create("small_cnn"))
    values = json.loads(json.dumps(summary.to_dict()))
    assert values["parameters"] == 545194 and values["receptive_field"] == [10, 10]
    assert values["rows"][0] == {
        "name": "stage1.0",
        "kind": "Conv2d",
        "output": [32, 32, 32],
        "parameters": 864,
        "macs": 884736,
        "stride": [1, 1],
        "receptive_field": [3, 3],
    }
    text = str(summary)
    for shown in (
        "small_cnn for 3×32×32 images",
        "stage2.2",
        "MaxPool2d",
        "64×8×8",
        "524,416",
        "545,194",
        "6,128,896",
    ):
        assert shown in text


def test_rectangular_fields_are_written_out():
    text = str(summarise(nn.Sequential(nn.Conv2d(3, 2, (1, 7))), (3, 8, 8)))
    assert "1×7" in text


@pytest.mark.slow
def test_a_summary_does_not_wake_the_compiler():
    code = (
        "import sys; from convscope.models.pytorch.zoo import create; "
        "from convscope.models.pytorch.summary import summarise; summarise(create('small_cnn')); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
