from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from torch import nn

import photographs
import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.explanation.explained_model import open_explained_run
from convscope.explanation.feature_visualisation import views
from convscope.explanation.feature_visualisation.views import show
from convscope.explanation.pytorch import activation_maximisation
from convscope.inference.load import load
from convscope.training.train import train, train_run
from no_drawing import undrawn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        patch.setattr(activation_maximisation, "SMALL_STEPS", (3, 0.05))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = small_data.write_npz(tmp_path_factory.mktemp("data") / "small_data.npz", channels=3)
    made = RunConfig.from_dict(small_data.settings(epochs=2)).merge({"data": {"source": str(data)}})
    return train_run(made, out=tmp_path_factory.mktemp("runs") / "run", observer=Silent()).folder


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


@pytest.mark.parametrize("what", list(views.VIEWS))
def test_each_view_writes_pictures_and_lines(run, what):
    told = []
    shown = show(run, what, progress=lambda *each: told.append(each))
    assert shown.what == what and shown.folder == run / "explanation" and shown.pictures and shown.lines
    for picture in shown.pictures:
        assert picture.parent == shown.folder and picture.suffix == ".png"
        found = pixels(picture)
        assert min(found.shape) > 200 and len(np.unique(found)) > 20
    assert json.loads(json.dumps(shown.to_dict()))["lines"] == list(shown.lines)
    assert all(0 <= done <= total for _, done, total in told)
    kinds = {kind for kind, _, _ in told} - {"decode"}
    assert (
        kinds
        == {
            "filters": set(),
            "maps": set(),
            "channels": {"find top activations", "maximise activations"},
            "receptive-field": {"measure receptive fields"},
            "embedding": {"embed"},
        }[what]
    )


def test_the_same_call_writes_the_same_bytes(run, tmp_path):
    first, second = (
        show(run, "channels", channel="bee", out=tmp_path / name).pictures[0].read_bytes() for name in "ab"
    )
    assert first == second


def test_images_a_person_names_are_used(run, tmp_path):
    for number in range(2):
        Image.fromarray(np.full((30, 20), 100 * number, np.uint8)).save(tmp_path / f"{number}.png")
    shown = show(run, "maps", images=tmp_path, out=tmp_path / "out")
    assert [picture.name for picture in shown.pictures] == ["maps_1.png", "maps_2.png"]
    assert shown.lines[0] == f"{tmp_path / '0.png'}:" and "stage1: " in shown.lines[1]
    field = show(run, "receptive-field", images=[tmp_path / "1.png"], out=tmp_path / "out")
    assert "measured on 1 image that you named" in field.lines[-1]
    with pytest.raises(UserError, match="there is no file or folder"):
        show(run, "maps", images=tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"bad\.png"):
        show(run, "maps", images=tmp_path / "bad.png")


@pytest.mark.parametrize(
    ("what", "channel", "picture"),
    [
        ("maps", "stage2", "maps.png"),
        ("maps", "body.stage1.0", "maps.png"),
        ("channels", "COW", "channel_COW.png"),
        ("channels", "stage2:3", "channel_stage2_3.png"),
        ("embedding", "pca", "embedding.png"),
        ("embedding", "tsne", "embedding_tsne.png"),
    ],
)
def test_a_channel_is_shown_alone(run, tmp_path, what, channel, picture):
    shown = show(run, what, channel=channel, out=tmp_path)
    assert [each.name for each in shown.pictures] == [picture] and (tmp_path / picture).is_file()


@pytest.mark.parametrize(
    ("what", "channel", "said"),
    [
        ("filter", None, "there is no view 'filter'; did you mean 'filters'"),
        ("maps", "stage9", "there is no layer 'stage9'"),
        ("channels", "cat", "there is no channel 'cat'"),
        ("channels", "stage1:999", "has .* channels, no channel 999"),
        ("embedding", "lda", "there is no projection 'lda'"),
        ("receptive-field", "stage1", "the view receptive-field has no use for channel"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(run, tmp_path, what, channel, said):
    with pytest.raises(UserError, match=said) as raised:
        show(run, what, channel=channel, out=tmp_path)
    assert "\n" not in str(raised.value)


def test_the_test_split_stays_closed(run, tmp_path, monkeypatch):
    from convscope.data.sources.origin import Source

    opened, real = [], Source.open
    monkeypatch.setattr(Source, "open", lambda s, split: (opened.append(split), real(s, split))[1])
    shown = show(run, "embedding", out=tmp_path)
    assert "test" not in opened and "the validation split of small_data" in shown.lines[0]


def test_other_data_are_used(run, tmp_path):
    images, labels = small_data.pictures(30, channels=3, seed=5)
    np.savez(tmp_path / "all.npz", images=images, labels=labels, classes=np.array(small_data.CLASSES))
    shown = show(run, "embedding", data=tmp_path / "all.npz", out=tmp_path)
    truth = load(run).predict(images).argmax(1)
    assert shown.lines[0] == f"PCA of all of all: {(truth != labels).sum()} of 30 are answered wrongly"
    np.savez(
        tmp_path / "two.npz",
        x_train=images,
        y_train=labels,
        x_test=images[:9],
        y_test=labels[:9],
        classes=np.array(small_data.CLASSES),
    )
    assert (
        "the test split of two: " in show(run, "embedding", data=tmp_path / "two.npz", out=tmp_path).lines[0]
    )


def test_many_images_are_thinned_out_evenly(run):
    opened = open_explained_run(run)
    _, everything = opened.opened
    words, some = opened.subsample(4)
    assert words.startswith("4 images spread over the validation split")
    assert some.names == [everything.names[i] for i in (0, 6, 11, 17)] and len(everything) == 18
    assert len(opened.subsample(18)[1]) == 18 and opened.prepared([])[1].shape == (0, 12, 12, 3)


def test_many_classes_are_shown_in_part(run, tmp_path, monkeypatch):
    monkeypatch.setattr(views, "CLASSES", 2)
    lines = show(run, "channels", out=tmp_path).lines
    assert [line.split(":")[0] for line in lines[:2]] == ["ant", "bee"]
    assert lines[-1] == "the first 2 of 3 classes; name another with --channel"


class Custom(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.look = nn.Conv2d(in_channels, 4, 3)
        self.end = nn.Linear(4, classes)

    def forward(self, x):
        return self.end(self.look(x).relu().mean((2, 3)))


class Dense(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.end = nn.Linear(144 * in_channels, classes)

    def forward(self, x):
        return self.end(x.flatten(1))


def trained(module, root):
    config = RunConfig.from_dict(small_data.settings(epochs=1))
    data = str(small_data.write_npz(root / "grey.npz"))
    return train(data, module, config=config, out=root / "run", quiet=True).folder


def test_a_custom_model_is_shown(tmp_path):
    folder = trained(Custom(1, 3), tmp_path)
    for what in views.VIEWS:
        assert show(folder, what, model=Custom, out=tmp_path / what).pictures
    assert "look" in show(folder, "maps", model=Custom, out=tmp_path).lines[1]
    with pytest.raises(UserError, match="your own network Custom"):
        show(folder, "filters", out=tmp_path)


def test_a_network_without_convolutions_is_refused_with_a_reason_where_it_has_nothing_to_show(tmp_path):
    folder = trained(Dense(1, 3), tmp_path)
    for what, said in (
        ("filters", "has no convolution"),
        ("maps", "feature maps"),
        ("receptive-field", "feature maps"),
    ):
        with pytest.raises(UserError, match=said):
            show(folder, what, model=Dense, out=tmp_path)
    for what in ("channels", "embedding"):
        assert show(folder, what, model=Dense, out=tmp_path).pictures


def test_a_head_on_trained_weights_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(activation_maximisation, "LARGE_STEPS", (1, 0.1))
    config = photographs.config(
        photographs.write(tmp_path / "photos", count=48), transfer={"pretrained": "squeezenet1_0"}
    )
    folder = train_run(config, out=tmp_path / "run", observer=Silent()).folder
    assert show(folder, "filters").lines[0] == "96 filters of 7×7 over 3 channels, layer body.stem.0"
    assert len(show(folder, "receptive-field").lines) == 1 + 4 + 1
    assert "512 features (head.3)" in show(folder, "embedding").lines[1]
    assert show(folder, "channels", channel="stage3:5").pictures
