"""Gradients and occlusion beside captum: the same attributions, in float64, before anything is summed or
shown.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribution import gradients, integrated
from convscope.explanation.attribution.gradients import unit_noise
from convscope.explanation.attribution.occlusion import occlusion
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.pytorch.zoo import create
from on_torch import on_torch

input_gradient, smooth_gradient = on_torch(gradients.input_gradient), on_torch(gradients.smooth_gradient)
integrated_gradients = on_torch(integrated.integrated_gradients)

EXACT = 1e-9  # max|Δ| / max|reference|: what differs is the order of float64 sums
ROUNDED = 1e-6  # captum keeps the lengths of steps and the sums of occlusion in float32
FAR = 1e-3  # what a wrong attribution must miss by

# Residual and grey; concatenating, without batch norm; with a dense head. Sides that differ tell rows from
# columns.
NETWORKS = {"resnet20": (1, 16, 20), "squeezenet1_0": (3, 16, 16), "small_cnn": (3, 16, 24)}
# captum finds only ReLUs that are layers, each used once: concatenating with norms; plain and grey; plain
# with norms.
GUIDED = {"densenet121": (1, 16, 16), "vgg11": (1, 16, 16), "deeper_cnn": (3, 20, 16)}

# captum tells that it asks for gradients over the images, and that it puts hooks into the network.
pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor", "ignore:Setting backward hooks")


@pytest.fixture(scope="module")
def captum():
    allow_torchvision()
    import captum.attr

    return captum.attr


def prepared(name, shape):
    """A network in float64 whose norms have seen a batch and whose biases are not 0, and three images with
    targets.
    """
    torch.manual_seed(0)
    network = create(name, input_shape=shape, classes=5).double().eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = None
                layer.train()
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                layer.bias.normal_(0, 0.1)
        network(torch.randn(8, *shape, dtype=torch.float64))
        network.eval()
        x = torch.randn(3, *shape, dtype=torch.float64)
        # The two largest logits: a head that ends in ReLU may give 0 for others, which have no gradient at
        # all.
        best = network(x).topk(2).indices
    return network, x, torch.stack([best[0, 0], best[1, 1], best[2, 0]])


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    return prepared(request.param, NETWORKS[request.param])


def distance(ours, theirs):
    assert ours.shape == theirs.shape and float(theirs.detach().abs().max()) > 0
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def held(ours, theirs, wrong, *, within=EXACT):
    """Ours are theirs, and the ruler tells something that is only like them apart."""
    assert distance(ours, theirs) <= within
    assert distance(wrong, theirs) >= FAR


def test_saliency(case, captum):
    network, x, targets = case
    theirs = captum.Saliency(network).attribute(x, target=targets, abs=False)
    held(input_gradient(network, x, targets), theirs, input_gradient(network, x, (targets + 1) % 5))


def test_gradient_x_input(case, captum):
    network, x, targets = case
    found = input_gradient(network, x, targets)
    held(x * found, captum.InputXGradient(network).attribute(x, target=targets), x.abs() * found)


@pytest.mark.parametrize(("steps", "given"), [(4, False), (9, True)])
def test_integrated_gradients(case, captum, steps, given):
    network, x, targets = case
    baseline = torch.randn(x.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    baseline = baseline if given else torch.zeros_like(baseline)
    theirs, delta = captum.IntegratedGradients(network, multiply_by_inputs=True).attribute(
        x, baseline[None], targets, n_steps=steps, method="gausslegendre", return_convergence_delta=True
    )
    shares, gap = integrated_gradients(network, x, targets, baseline=baseline if given else None, steps=steps)
    other, _ = integrated_gradients(network, x, targets, baseline=baseline + 1, steps=steps)
    held(shares, theirs, other, within=ROUNDED)
    assert distance(gap, delta) <= 1e-4


def test_smooth_grad(case, captum, monkeypatch):
    network, x, targets = case
    noise = torch.from_numpy(unit_noise(x.shape[1:], 6, seed=4))
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + std * noise)
    ours = smooth_gradient(network, x, targets, copies=6, noise=0.2, seed=4)
    tunnel = captum.NoiseTunnel(captum.Saliency(network))
    theirs = torch.cat(
        [
            tunnel.attribute(
                one[None],
                nt_type="smoothgrad",
                nt_samples=6,
                stdevs=0.2 * float(one.max() - one.min()),
                target=target[None],
                abs=False,
            )
            for one, target in zip(x, targets, strict=True)
        ]
    )
    held(ours, theirs, smooth_gradient(network, x, targets, copies=6, noise=0.2, seed=5))


@pytest.mark.parametrize("name", GUIDED)
def test_guided_backprop(name, captum):
    network, x, targets = prepared(name, GUIDED[name])
    ours, plain = (input_gradient(network, x, targets, guided=guided) for guided in (True, False))
    held(ours, captum.GuidedBackprop(network).attribute(x, target=targets), plain)


def test_guided_backprop_of_functions_is_that_of_layers(captum):
    """captum sees no functions, so it gets a network of the same layers where each ReLU is one."""

    class Functions(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.first, _, self.second, _, self.flat, self.last = layers

        def forward(self, x):
            x = nn.functional.relu(self.first(x))
            return self.last(self.flat(self.second(x).relu_()))

    torch.manual_seed(0)
    layers = nn.Sequential(
        *(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 4))
    ).double()
    x, targets = torch.randn(3, 2, 8, 8, dtype=torch.float64), torch.tensor([0, 3, 1])
    functions = Functions(layers)
    theirs = captum.GuidedBackprop(layers).attribute(x, target=targets)
    ours, plain = (input_gradient(functions, x, targets, guided=guided) for guided in (True, False))
    held(ours, theirs, plain)


class Answers:
    """A Predictor without torch: logits float64 from every pixel, through a bend."""

    classes = ("ant", "bee", "cow")

    def __init__(self, shape):
        rng = np.random.default_rng(0)
        self.first, self.last = rng.normal(0, 0.05, (int(np.prod(shape)), 9)), rng.normal(0, 1, (9, 3))

    def predict(self, images):
        return np.tanh((images.reshape(len(images), -1) / 255.0) @ self.first) @ self.last


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [((12, 12, 1), 4, 2), ((13, 9, 3), 4, 3), ((9, 14, 1), 5, 5), ((11, 8, 3), 1, 1), ((7, 10, 3), 7, 2)],
)
def test_occlusion(captum, shape, window, stride):
    rng = np.random.default_rng(1)
    predictor, images, targets = (
        Answers(shape),
        rng.integers(0, 256, (3, *shape), np.uint8),
        np.array([0, 2, 1]),
    )
    fill = [40, 120, 200][: shape[2]]
    ours = occlusion(predictor, images, targets, fill=fill, window=window, stride=stride)
    theirs = by_captum(captum, predictor, images, targets, fill=fill, window=window, stride=stride)
    assert (theirs == theirs[:, :1]).all()  # the window covers all channels, so each has the same share
    wrong = occlusion(
        predictor, images, targets, fill=fill, window=window, stride=stride + 1 if stride < window else 1
    )
    wrong = wrong if stride != 1 else ours[:, ::-1].copy()
    held(torch.from_numpy(ours), theirs[:, 0], torch.from_numpy(wrong), within=ROUNDED)


@pytest.mark.parametrize("name", NETWORKS)
def test_occlusion_of_networks(name, captum):
    channels, height, width = NETWORKS[name]
    network, _, targets = prepared(name, NETWORKS[name])
    preprocess = Preprocess(channels, height, width, mean=(0.5,) * channels, std=(0.25,) * channels)
    model = ExplainedModel.of(TorchPredictor(network.float(), preprocess, tuple("abcde")))
    images = np.random.default_rng(2).integers(0, 256, (3, height, width, channels), np.uint8)
    ours = methods["occlusion"].compute(model, images, targets.numpy())
    window = round(min(height, width) / 6)
    options = {"fill": [128] * channels, "window": window, "stride": window // 2}
    theirs = by_captum(captum, model.predictor, images, targets.numpy(), **options)
    # Logits are float32 here, and a fall is a small difference of two of them.
    assert distance(torch.from_numpy(ours), theirs[:, 0]) <= 1e-4


def by_captum(captum, predictor, images, targets, *, fill, window, stride):
    def forward(pixels):
        found = pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        return torch.from_numpy(predictor.predict(found).astype(np.float64))

    x = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    channels = x.shape[1]
    return captum.Occlusion(forward).attribute(
        x,
        sliding_window_shapes=(channels, window, window),
        strides=(channels, stride, stride),
        baselines=torch.tensor(fill, dtype=torch.float64).view(1, -1, 1, 1).expand_as(x),
        target=torch.from_numpy(targets),
    )
