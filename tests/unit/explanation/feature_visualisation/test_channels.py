import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation import channels as module
from convscope.explanation.feature_visualisation.channel_plot import channel_figure, channels_figure
from convscope.explanation.feature_visualisation.channels import (
    class_channels,
    find_channel,
    seen,
    top_activations,
)
from convscope.explanation.feature_visualisation.visualiser import Channel
from convscope.explanation.pytorch.probe import TorchProbe
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from convscope.models.receptive_field import Field

CLASSES = ("a", "<b>$x$" + "long " * 20, "=c")


def part_of(count, channels=1, side=12):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    dataset = ArrayDataset(images, np.arange(count) % 3, CLASSES)
    return prepare_split(dataset, Preprocess(channels, side, side))


def explained_model(channels=1, side=12):
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(channels, side, side), classes=3).eval()
    return ExplainedModel.of(TorchPredictor(net, Preprocess(channels, side, side), CLASSES))


@pytest.mark.parametrize("channels", [1, 3])
def test_they_are_those_that_a_search_over_everything_finds(channels, monkeypatch):
    found, part = explained_model(channels), part_of(50, channels)
    monkeypatch.setattr(module, "max_batch_size", lambda *_: 7)
    wanted = [*class_channels(CLASSES), Channel("stage2", 5, "map")]
    results = top_activations(found, wanted, part, top=4)
    x = found.inputs(part.take(np.arange(50)))
    network, x = found.predictor.network, torch.from_numpy(x)
    with torch.no_grad():
        logits, maps = network(x).numpy(), network.features(x)["stage2"][:, 5].numpy()
    for result, values in zip(results, [*logits.T, maps.max((1, 2))], strict=True):
        order = np.argsort(-values, kind="stable")[:4]
        assert result.positions.tolist() == order.tolist()
        assert np.allclose(result.values, values[order], atol=1e-5)
    assert set(results[0].boxes) == {(0, 0, 12, 12)}
    assert all(crop.shape[0] <= 10 and crop.shape[1] <= 10 for crop in results[3].crops(part))


class Brightest(nn.Module):
    """Map 0 is the mean of 2×2 pixels, so the box of its maximum has to hold the bright patch of an image."""

    def __init__(self):
        super().__init__()
        self.look = nn.AvgPool2d(2)
        self.end = nn.Linear(1, 3)

    def forward(self, x):
        return self.end(self.look(x).mean((1, 2, 3))[:, None])


@given(st.integers(0, 5), st.integers(0, 7))
def test_the_crop_is_where_the_activation_is_highest(row, column):
    images = np.zeros((1, 12, 16, 1), np.uint8)
    images[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 200
    prepare = Preprocess(1, 12, 16)
    net = wrap_custom_model(Brightest(), input_shape=(1, 12, 16), classes=3)
    part = prepare_split(ArrayDataset(images, np.zeros(1, np.int64), CLASSES), prepare)
    (found,) = top_activations(
        ExplainedModel.of(TorchPredictor(net, prepare, CLASSES)), [Channel("look", 0, "")], part
    )
    assert found.boxes == ((2 * row, 2 * column, 2 * row + 2, 2 * column + 2),)
    assert (found.crops(part)[0] == 200).all()


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_what_is_seen_lies_in_the_image_and_is_never_empty(size, position, image):
    top, left, bottom, right = seen(Field(size, (1, 1)), position, image)
    assert 0 <= top < bottom <= image[0] and 0 <= left < right <= image[1]
    assert bottom - top <= size[0] and right - left <= size[1]


def test_memory_holds_a_batch_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "max_batch_size", lambda *_: 8)
    found, part, told, sizes = explained_model(), part_of(20), [], []
    found.predictor.network.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    top_activations(found, class_channels(CLASSES), part, progress=lambda *each: told.append(each))
    assert sizes == [8, 8, 4] and told == [("find top activations", done, 20) for done in (8, 16, 20)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 4])
def test_fewer_images_than_are_asked_for(count):
    found, part = explained_model(), part_of(9)
    few = PreparedSplit(part.whole, part.rows[:count])
    results = top_activations(found, [*class_channels(CLASSES), Channel("stage1", 0, "m")], few)
    assert [len(each.positions) for each in results] == [count] * 4
    made = np.zeros((4, 12, 12, 1))
    channels_figure(made, results, few).draw_without_rendering()
    channel_figure(made[0], results[3], few).draw_without_rendering()


def test_a_channel_that_is_not_there():
    with pytest.raises(UserError, match="has 32 channels, no channel 99"):
        top_activations(explained_model(), [Channel("stage1", 99, "")], part_of(3))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_figures_frame_images_of_another_class(channels):
    found, part = explained_model(channels), part_of(12, channels)
    results = top_activations(found, class_channels(CLASSES), part)
    made = np.random.default_rng(0).random((3, 12, 12, channels))
    figure = channels_figure(made, results, part)
    figure.draw_without_rendering()
    framed = [axes for axes in figure.axes if axes.spines["top"].get_linewidth() == 2]
    assert len(framed) == sum(
        int((part.targets[each.positions] != k).sum()) for k, each in enumerate(results)
    )
    assert figure.axes[10].get_ylabel().startswith(r"<b>\$x\$long")
    assert [axes.get_title() for axes in figure.axes[1:10]] == [f"{value:.3g}" for value in results[0].values]


def test_the_figure_of_a_map_shows_what_it_saw():
    found, part = explained_model(), part_of(12)
    (result,) = top_activations(found, [Channel("stage2", 1, "map 1 of stage2")], part)
    figure = channel_figure(np.zeros((12, 12, 1)), result, part)
    figure.draw_without_rendering()
    assert len(figure.axes) == 1 + 2 * 9
    assert sum(len(axes.patches) for axes in figure.axes) == 9  # a frame on each image, none on the crops


NAMES = ("cat", "Dog", "stage1:0", "dog", "<b>$=", "a:b")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return create("small_cnn", input_shape=(1, 8, 8), classes=len(NAMES)).eval()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat", Channel(None, 0, "cat")),
        ("CAT", Channel(None, 0, "cat")),
        ("dog", Channel(None, 3, "dog")),  # the exact name goes before another spelling of it
        ("Dog", Channel(None, 1, "Dog")),
        ("stage1:0", Channel(None, 2, "stage1:0")),  # a class may be called like a channel
        ("stage1:1", Channel("stage1", 1, "map 1 of stage1")),
        ("body.stage2:07", Channel("body.stage2", 7, "map 7 of body.stage2")),
        ("a:b", Channel(None, 5, "a:b")),
    ],
)
def test_a_person_names_channels(net, text, expected):
    assert find_channel(text, TorchProbe(net), NAMES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("catt", "did you mean 'cat'.*such as stage2:0"),
        ("", "there is no channel ''"),
        ("stage1", "a feature map as LAYER:NUMBER"),
        ("stage1:x", "there is no channel"),
        ("stage1:-1", "there is no channel"),
        ("stage9:1", "there is no layer 'stage9'"),
        (":1", "there is no layer ''"),
    ],
)
def test_what_is_no_channel_is_an_error(net, text, message):
    with pytest.raises(UserError, match=message):
        find_channel(text, TorchProbe(net), NAMES)


def test_the_channels_of_classes_are_their_logits():
    assert [(each.layer, each.index, each.title) for each in class_channels(("a", "b"))] == [
        (None, 0, "a"),
        (None, 1, "b"),
    ]
