import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.channels import class_channels
from convscope.explanation.feature_visualisation.visualiser import Channel
from convscope.explanation.pytorch.activation_maximisation import (
    COLOURS,
    amplitudes,
    channel_activations,
    moved,
)
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from rounding import same_but_for_rounding


def explained_model(colours=1, side=12, classes=("a", "b", "c"), module=None):
    torch.manual_seed(0)
    shape = (colours, side, side)
    net = create("small_cnn", input_shape=shape, classes=len(classes)) if module is None else module
    net = wrap_custom_model(net, input_shape=shape, classes=len(classes)).eval()
    prepare = Preprocess(colours, side, side, "crop", (0.4,) * colours, (0.3,) * colours)
    return ExplainedModel.of(TorchPredictor(net, prepare, classes))


def maximise(found, channels, *, steps=None, seed=0, progress=None):
    return found.inside().maximise(channels, found.preprocess, steps=steps, seed=seed, progress=progress)


def strength(found, channels, images):
    mean, std = found.preprocess.mean[0], found.preprocess.std[0]
    x = torch.from_numpy((images - mean) / std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        return np.array(
            [
                one[row].mean().item()
                for row, one in enumerate(channel_activations(found.predictor.network, x, channels))
            ]
        )


@pytest.mark.parametrize("colours", [1, 3])
def test_the_image_activates_its_channel_more_than_noise_does(colours):
    found = explained_model(colours)
    channels = [*class_channels(found.classes), Channel("stage2", 9, "")]
    made = maximise(found, channels, steps=40)
    assert made.shape == (4, 12, 12, colours) and made.min() >= 0 and made.max() <= 1
    noise = np.random.default_rng(0).random((50, 12, 12, colours))
    best = np.max([strength(found, channels, np.repeat(one[None], 4, axis=0)) for one in noise], axis=0)
    assert (strength(found, channels, made) > best).all()


class Matched(nn.Module):
    """The logit of class 1 is how well the image fits a pattern, so the best image is known: the pattern."""

    def __init__(self, pattern):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.register_buffer("pattern", pattern)

    def forward(self, x):
        fit = ((x - x.mean((2, 3), keepdim=True)) * self.pattern).mean((1, 2, 3))
        return torch.stack([-fit, fit], 1)


def test_a_pattern_that_is_sought_is_found():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    pattern = ((x**2 + y**2) < 0.4).float()
    pattern = pattern - pattern.mean()
    found = explained_model(side=16, classes=("a", "b"), module=Matched(pattern[None, None]))
    made = maximise(found, class_channels(found.classes), steps=60)[..., 0]
    against, fitting = (np.corrcoef(image.ravel(), pattern.numpy().ravel())[0, 1] for image in made)
    assert fitting > 0.85 and against < -0.85


def test_the_same_seed_gives_the_same_image_and_another_another():
    found = explained_model()
    torch.manual_seed(5)
    first = maximise(found, class_channels(found.classes), steps=3, seed=1)
    torch.manual_seed(6)
    assert np.array_equal(first, maximise(found, class_channels(found.classes), steps=3, seed=1))
    assert not np.array_equal(first, maximise(found, class_channels(found.classes), steps=3, seed=2))


def test_progress_is_told_and_the_network_is_as_it_was():
    found, told = explained_model(), []
    net = found.predictor.network.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    maximise(found, class_channels(found.classes), steps=3, progress=lambda *each: told.append(each))
    assert told == [("maximise activations", done, 3) for done in (1, 2, 3)] and net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_a_channel_that_nothing_moves_leaves_a_pale_image_and_no_nan():
    found = explained_model()
    found.predictor.network.head[-1].weight.data.zero_()
    made = maximise(found, class_channels(found.classes)[:1], steps=5)
    assert np.isfinite(made).all() and np.ptp(made) < 0.5


def test_no_channels_and_one_that_is_not_there():
    found = explained_model()
    assert maximise(found, []).shape == (0, 12, 12, 1)
    with pytest.raises(UserError, match="no channel 64"):
        maximise(found, [Channel("stage2", 64, "")], steps=1)


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_white_noise_keeps_its_power(height, width, seed):
    scale = amplitudes(height, width)
    assert scale.shape == (height, width // 2 + 1) and np.isfinite(scale).all() and (scale > 0).all()
    assert np.mean(scale**2) * scale.size == pytest.approx(height * width)


def test_moving_by_nothing_is_nothing_and_turning_keeps_the_middle():
    images = torch.rand(2, 3, 9, 9)
    assert torch.allclose(moved(images, np.zeros((2, 4))), images, atol=1e-5)
    turned = moved(images, np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
    assert torch.allclose(turned[:, :, 4, 4], images[:, :, 4, 4], atol=1e-4) and not torch.allclose(
        turned, images
    )
    shifted = moved(images, np.array([[0, 0, 1.0, 0], [0, 0, 0, 1.0]]))
    assert not torch.allclose(shifted[0], images[0], atol=1e-2) and not torch.allclose(
        shifted[1], images[1], atol=1e-2
    )


def test_the_colours_are_at_right_angles():
    colours = np.array(COLOURS)
    assert np.allclose(colours @ colours.T, np.diag(np.diag(colours @ colours.T)), atol=1e-9)


def test_activations_are_the_maps_and_logits_themselves():
    net = explained_model(side=8).predictor.network.eval()
    x = torch.randn(3, 1, 8, 8)
    channels = [Channel("stage2", 5, ""), Channel(None, 1, ""), Channel("stage1", 0, "")]
    with torch.no_grad():
        found = channel_activations(net, x, channels)
        maps, logits = net.features(x), net(x)
    for ours, expected in zip(
        found, (maps["stage2"][:, 5], logits[:, 1, None, None], maps["stage1"][:, 0]), strict=True
    ):
        assert same_but_for_rounding(ours, expected)


def test_a_channel_that_is_not_there_is_named():
    net = explained_model(side=8).predictor.network
    with pytest.raises(UserError, match="layer 'stage1' has 32 channels, no channel 32; give 0 to 31"):
        channel_activations(net, torch.zeros(1, 1, 8, 8), [Channel("stage1", 32, "")])
    with pytest.raises(UserError, match="layer '1' gives no feature maps"):
        channel_activations(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), torch.zeros(1, 1, 4, 4), [Channel("1", 0, "")]
        )
