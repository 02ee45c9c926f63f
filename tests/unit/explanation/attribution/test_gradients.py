"""Gradients are those that differences measure, and nothing is left behind in the network."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import small_data
import trained_runs
from convscope.explanation.attribution import gradients, integrated
from convscope.explanation.attribution.gradients import batches, strongest, summed, unit_noise
from convscope.explanation.methods import methods
from on_torch import on_torch
from rounding import same_but_for_rounding

input_gradient, mean_gradient = on_torch(gradients.input_gradient), on_torch(gradients.mean_gradient)
smooth_gradient = on_torch(gradients.smooth_gradient)
integrated_gradients = on_torch(integrated.integrated_gradients)

ATTRIBUTIONS = {
    "gradient": input_gradient,
    "guided": partial(input_gradient, guided=True),
    "smooth": smooth_gradient,
    "shares": lambda *given: integrated_gradients(*given)[0],
    "complete": on_torch(integrated.complete_shares),
}
every = pytest.mark.parametrize("attribute", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS)


def network(channels=2, *, inplace=False):
    """A small network with a norm and dropout, which behave otherwise while training."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.ReLU(inplace), nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace), nn.Dropout(0.5)),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
    ).double()


def images(count=3, channels=2, side=6):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, channels, side, side, generator=generator, dtype=torch.float64)
    return x, torch.arange(count) % 3


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_what_differences_measure(channels):
    net, (x, targets) = network(channels).eval(), images(channels=channels)
    found, step = input_gradient(net, x, targets), 1e-6
    for place in [(0, 0, 0), (channels - 1, 3, 5), (0, 5, 2)]:
        moved = torch.zeros_like(x)
        moved[:, *place] = step
        with torch.no_grad():
            change = (net(x + moved) - net(x - moved)).gather(1, targets[:, None])[:, 0] / (2 * step)
        assert found[:, *place].numpy() == pytest.approx(change.numpy(), rel=1e-6, abs=1e-9)


@every
@pytest.mark.parametrize("frozen", [False, True])
def test_the_network_is_left_as_it_was(attribute, frozen):
    net, (x, targets) = network(), images()
    net.train()
    net[1].eval()
    for parameter in net.parameters():
        parameter.requires_grad_(not frozen)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pixels = x.clone()
    attribute(net, x, targets)
    assert [m.training for m in net] == [n != 1 for n in range(len(net))]
    assert all(p.requires_grad is not frozen and p.grad is None for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in net.modules())
    assert torch.equal(x, pixels) and not x.requires_grad


@every
def test_mode_freezing_and_writing_in_place_change_nothing(attribute):
    (x, targets) = images()
    plain = attribute(network().eval(), x, targets)
    training = network(inplace=True).train().requires_grad_(False)
    assert same_but_for_rounding(attribute(training, x, targets), plain)
    assert float(plain.abs().max()) > 0


@every
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_gets_them_all_the_same(attribute, mode):
    x, targets = images()
    net = network()
    wanted = attribute(net, x, targets)
    with mode():
        assert same_but_for_rounding(attribute(net.train(), *images()), wanted)
        assert not torch.is_grad_enabled()


@every
def test_batches_change_nothing_and_no_image_meets_another(attribute, monkeypatch):
    x, targets = images(7)
    whole = attribute(network(), x, targets)
    for number in (0, 6):
        alone = attribute(network(), x[number : number + 1], targets[number : number + 1])
        assert alone.numpy() == pytest.approx(whole[number : number + 1].numpy(), abs=1e-12)
    monkeypatch.setattr(gradients, "MOST_IMAGES", 2)
    assert attribute(network(), x, targets).numpy() == pytest.approx(whole.numpy(), abs=1e-12)


@every
def test_no_images_have_no_attributions(attribute):
    x, targets = images(0)
    assert attribute(network(), x, targets).shape == (0, 2, 6, 6)


@pytest.mark.parametrize("forward", [lambda x: x.detach(), lambda x: x.round() * 0, torch.ones_like])
def test_logits_that_do_not_depend_on_the_image_has_gradient_zero(forward):
    class Blind(nn.Module):
        def forward(self, x):
            return forward(x).flatten(1)[:, :3]

    assert not input_gradient(Blind(), *images()).any()


def test_batches_cover_every_image_once_and_are_small_for_photographs():
    for count, size in ((0, (28, 28)), (1, (28, 28)), (300, (28, 28)), (5, (224, 224)), (3, (2000, 1000))):
        found = list(batches(count, size))
        assert [n for batch in found for n in range(count)[batch]] == list(range(count))
        most = max((batch.stop - batch.start for batch in found), default=1)
        assert most == 1 or most * size[0] * size[1] <= gradients.MOST_PIXELS


def test_the_mean_gradient_is_the_weighted_sum_over_points():
    net, (x, targets) = network(), images()
    weights = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    shifts = torch.tensor([0.0, 0.7, -1.3], dtype=torch.float64)
    found = mean_gradient(
        net,
        x,
        targets,
        weights=weights,
        points=lambda i, s: x.numpy()[i] + shifts.numpy()[s, None, None, None] * (i + 1)[:, None, None, None],
    )
    scale = torch.arange(1, 4).view(-1, 1, 1, 1)
    by_hand = sum(
        w * input_gradient(net, x + shift * scale, targets) for w, shift in zip(weights, shifts, strict=True)
    )
    assert found.numpy() == pytest.approx(by_hand.numpy(), abs=1e-12)


def test_channels_are_put_together_as_each_method_says():
    found = np.array([[[[1.0]], [[-3.0]]]])
    assert strongest(found).tolist() == [[[3.0]]] and summed(found).tolist() == [[[-2.0]]]


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_of_methods_are_made_of_gradients(channels):
    model = trained_runs.explained_model(channels)
    images, labels = small_data.pictures(6, channels=channels, seed=3)
    x = model.inputs(images)
    found = gradients.input_gradient(model.inside(), x, labels)
    saliency = methods["saliency"].compute(model, images, labels)
    product = methods["gradient_x_input"].compute(model, images, labels)
    assert saliency == pytest.approx(np.abs(found).max(axis=1), rel=1e-6)
    assert product == pytest.approx((found * x).sum(axis=1), rel=1e-4, abs=1e-6)
    assert saliency.shape == product.shape == (6, small_data.SIDE, small_data.SIDE) and (saliency >= 0).all()


@pytest.mark.parametrize("name", ["saliency", "smooth_grad", "guided_backprop", "integrated_gradients"])
def test_what_is_learned_is_seen_where_it_lies(name):
    model = trained_runs.explained_model()
    images, labels = small_data.pictures(30, seed=8)
    shares = np.abs(methods[name].compute(model, images, labels)).reshape(30, 3, -1).sum(axis=2)
    assert (shares.argmax(axis=1) == labels).mean() > 0.6


def bent(channels=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3)).double()


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_mean_over_noisy_copies(channels):
    net, (x, targets) = bent(channels), images(channels=channels)
    noise = unit_noise(x.shape[1:], 5, seed=9)
    for n, target in enumerate(targets):
        sigma = 0.3 * (x[n].max() - x[n].min())
        expected = [
            input_gradient(net, x[n : n + 1] + sigma * torch.from_numpy(one), target[None])[0]
            for one in noise
        ]
        found = smooth_gradient(net, x, targets, copies=5, noise=0.3, seed=9)[n]
        assert found.numpy() == pytest.approx(torch.stack(expected).mean(dim=0).numpy(), abs=1e-12)


def test_the_seed_decides_and_without_noise_it_is_the_gradient():
    net, (x, targets) = bent(), images(channels=1)
    assert torch.equal(smooth_gradient(net, x, targets), smooth_gradient(net, x, targets))
    assert not torch.allclose(smooth_gradient(net, x, targets), smooth_gradient(net, x, targets, seed=1))
    plain = input_gradient(net, x, targets)
    assert torch.allclose(smooth_gradient(net, x, targets, noise=0.0), plain)
    even = torch.ones_like(x)  # no range, no noise
    assert torch.allclose(smooth_gradient(net, even, targets), input_gradient(net, even, targets))


def test_the_noise_is_normal_and_each_copy_another():
    noise = unit_noise((3, 20, 20), 30, seed=0)
    assert noise.shape == (30, 3, 20, 20)
    assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1, abs=0.02)
    assert np.abs(np.corrcoef(noise.reshape(30, -1)) - np.eye(30)).max() < 0.2


def test_it_does_not_touch_other_random_numbers():
    model = trained_runs.explained_model()
    before = torch.random.get_rng_state()
    methods["smooth_grad"].compute(model, *small_data.pictures(2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_map_is_smoother_than_the_gradient():
    """Noise of the gradient from one pixel to the next, as a fraction of its size, falls."""
    model = trained_runs.explained_model()
    images, labels = small_data.pictures(20, seed=4)

    def roughness(name):
        maps = methods[name].compute(model, images, labels)
        return (np.abs(np.diff(maps, axis=2)).mean(axis=(1, 2)) / maps.mean(axis=(1, 2))).mean()

    assert roughness("smooth_grad") < roughness("saliency")
