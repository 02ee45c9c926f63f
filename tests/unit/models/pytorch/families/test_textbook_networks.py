"""Each simple network beside the same one written out plainly, with ReLU before pool, and given the same
weights.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.zoo import create


def conv_block(inputs, outputs, kernel=3, *, norm, pool=True):
    layers = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm)]
    layers += [nn.BatchNorm2d(outputs)] if norm else []
    return [*layers, nn.ReLU(), *([nn.MaxPool2d(2, 2)] if pool else [])]


def head(inputs, hidden, dropout):
    return [nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10)]


def fashion_block(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(outputs), nn.MaxPool2d(2)]


def lenet(activation, pool):
    return [
        *(nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2)),
        *(nn.Conv2d(6, 16, 5), activation(), pool(2)),
        *(nn.Conv2d(16, 120, 5), activation(), nn.Flatten()),
        *(nn.Linear(120, 84), activation(), nn.Linear(84, 10)),
    ]


def lab(norm):
    blocks = [*conv_block(3, 32, norm=norm), *conv_block(32, 64, norm=norm), *conv_block(64, 128, norm=norm)]
    return [*blocks, *head(128 * 4 * 4, 512, 0.5)]


TEXTBOOK = {
    "lenet5": lambda: lenet(nn.ReLU, nn.MaxPool2d),
    "simple_cnn": lambda: [
        *conv_block(1, 16, 5, norm=False),
        *conv_block(16, 32, 5, norm=False),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    ],
    "small_cnn": lambda: [
        *conv_block(3, 32, norm=True),
        *conv_block(32, 64, norm=True),
        *head(64 * 8 * 8, 128, 0.2),
    ],
    "deeper_cnn": lambda: [
        *conv_block(3, 64, norm=True, pool=False),
        *conv_block(64, 64, norm=True),
        *conv_block(64, 128, norm=True),
        *conv_block(128, 256, norm=True),
        *(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(256, 10)),
    ],
    "fashion_cnn": lambda: [*fashion_block(1, 32), *fashion_block(32, 64), *head(64 * 7 * 7, 256, 0.5)],
    "lab_cnn": lambda: lab(norm=False),
    "lab_cnn_bn": lambda: lab(norm=True),
}


def copied(name):
    """Our network and the plain one with its weights; LeNet-5 has a convolution for C5 there."""
    return with_weights_of(create(name), nn.Sequential(*TEXTBOOK[name]()))


def with_weights_of(ours, plain):
    pairs = list(zip(ours.state_dict().items(), plain.state_dict().items(), strict=True))
    plain.load_state_dict({theirs: value.view_as(shape) for (_, value), (theirs, shape) in pairs})
    return ours.double(), plain.double()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TEXTBOOK))
def test_training_equals_the_textbook(name):
    """Logits, loss gradients and batch-norm statistics of one training step, in float64; dropout draws the
    same.
    """
    ours, plain = copied(name)
    x = torch.randn(6, *ours.spec.input_shape, dtype=torch.float64)
    results = []
    for net in (ours, plain):
        torch.manual_seed(1)
        logits = net(x)
        nn.functional.cross_entropy(logits, torch.arange(6)).backward()
        results.append([logits, *(p.grad for p in net.parameters()), *net.buffers()])
    for a, b in zip(*results, strict=True):
        # Sums are taken in another order only where LeNet-5 has a linear layer for a convolution.
        assert torch.allclose(a.flatten().double(), b.flatten().double(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(TEXTBOOK))
def test_logits_equal_the_textbook(name):
    ours, plain = copied(name)
    x = torch.randn(6, *ours.spec.input_shape, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x), plain.eval()(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "pooling"), [("tanh", "average"), ("tanh", "max"), ("relu", "average")]
)
def test_options_bring_back_the_lenet_of_old(activation, pooling):
    plain = lenet(
        {"tanh": nn.Tanh, "relu": nn.ReLU}[activation],
        {"average": nn.AvgPool2d, "max": nn.MaxPool2d}[pooling],
    )
    options = {"activation": activation, "pooling": pooling}
    ours, plain = with_weights_of(create("lenet5", options=options), nn.Sequential(*plain))
    x = torch.randn(6, 1, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(ours(x), plain(x), rtol=1e-9, atol=1e-12)


def test_lenet_is_the_same_network_at_28_and_32_pixels():
    """28×28 padded by 2 is the paper's 32×32 field, and 61,706 weights fit both."""
    small = create("lenet5").eval()
    large = create("lenet5", input_shape=(1, 32, 32)).eval()
    large.load_state_dict(small.state_dict())
    x = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        assert torch.allclose(small(x), large(nn.functional.pad(x, (2, 2, 2, 2))), atol=1e-6)


def test_lab_cnn_has_exactly_the_weights_of_the_source():
    convolutions = sum(9 * a * b + b for a, b in ((3, 32), (32, 64), (64, 128)))
    assert (
        convolutions + 128 * 16 * 512 + 512 + 512 * 10 + 10 == create("lab_cnn").spec.parameters == 1_147_466
    )


def test_deeper_cnn_takes_other_sizes_after_it_was_built():
    net = create("deeper_cnn").eval()
    assert net(torch.zeros(2, 3, 64, 50)).shape == (2, 10)
