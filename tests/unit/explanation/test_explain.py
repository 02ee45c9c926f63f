"""The verb as a function: what it writes, what it says of each image, and what it refuses to do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.explanation import explain as module
from convscope.explanation.explain import PANEL, explain
from convscope.explanation.methods import Method, methods
from convscope.training.train import train, train_run
from no_drawing import undrawn


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        yield


@pytest.fixture(scope="module", params=[1, 3])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    data = small_data.write_npz(folder / "small_data.npz", channels=request.param)
    made = RunConfig.from_dict(small_data.settings(epochs=3)).merge({"data": {"source": str(data)}})
    return train_run(made, out=folder / "run", observer=Silent()).folder


@pytest.fixture
def files(tmp_path):
    paths = []
    for number, image in enumerate(small_data.pictures(4, channels=3)[0]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


@pytest.fixture
def undrawn_pictures(monkeypatch):
    """Where pictures do not matter, they cost most of the time."""
    monkeypatch.setattr(module, "explanation_figure", lambda *_, **__: _Blank())


class _Blank:
    def savefig(self, file, *, metadata, **_):
        text = PngInfo()
        text.add_text(*next(iter(metadata.items())))
        Image.new("L", (1, 1)).save(file, "PNG", pnginfo=text)


@pytest.mark.slow
def test_a_picture_an_image_with_four_methods(run, files, tmp_path):
    found = explain(run, files, out=tmp_path / "out")
    assert found.pictures == tuple(tmp_path / "out" / f"{n}.png" for n in range(4))
    wanted = [name for name in PANEL if name in methods]
    for image in found.images:
        assert [result.method for result in image.results] == wanted
        assert image.label == image.prediction.label and 0 <= image.prediction.probability <= 1
        for result in image.results:
            assert result.refused or 0 <= result.numbers["insertion"] <= 1
    with Image.open(found.pictures[0]) as picture:
        assert picture.width > 1200 and np.asarray(picture.convert("L")).std() > 10
    assert json.loads((tmp_path / "out" / "explanation.json").read_text()) == found.to_dict()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_pictures")
def test_the_run_folder_is_where_pictures_go(run, files):
    assert explain(run, files[0], method="grad_cam").folder == run / "explanation"


@pytest.mark.usefixtures("undrawn_pictures")
def test_a_picture_is_never_written_over_the_image(run, files):
    before = [path.read_bytes() for path in files]
    found = explain(run, files, method="layer_cam", out=files[0].parent)
    assert [path.read_bytes() for path in files] == before
    assert [path.name for path in found.pictures] == [f"{n}-2.png" for n in range(4)]


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_pictures")
def test_every_method_runs_and_says_what_it_found(run, files, tmp_path):
    found = explain(run, files[:2], method="all", out=tmp_path)
    for image in found.images:
        assert [result.method for result in image.results] == list(methods)
        for result in image.results:
            assert result.refused or all(
                np.isfinite(value) for value in result.numbers.values() if value is not None
            )


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_pictures")
def test_the_same_call_gives_the_same_numbers(run, files, tmp_path):
    a, b = (explain(run, files, method=("grad_cam", "layer_cam"), out=tmp_path).to_dict() for _ in range(2))
    assert a == b


@pytest.mark.usefixtures("undrawn_pictures")
def test_batches_change_nothing(run, files, tmp_path, monkeypatch):
    whole = explain(run, files, method="layer_cam", out=tmp_path)
    monkeypatch.setattr(module, "BATCH", 3)
    parts = explain(run, files, method="layer_cam", out=tmp_path)
    for a, b in zip(whole.images, parts.images, strict=True):
        assert a.prediction.label == b.prediction.label and a.picture == b.picture
        # Rounding may swap two pixels of nearly one value, and so what a step of 1/20 of them takes away.
        assert a.results[0].numbers == pytest.approx(b.results[0].numbers, abs=5e-3)


@pytest.mark.usefixtures("undrawn_pictures")
def test_a_class_may_be_named(run, files, tmp_path):
    found = explain(run, files, method="layer_cam", target="cow", out=tmp_path)
    assert [image.label for image in found.images] == ["cow"] * 4
    own = explain(run, files, method="layer_cam", out=tmp_path)
    other = next(n for n, image in enumerate(own.images) if image.label != "cow")
    assert found.images[other].results != own.images[other].results


@pytest.mark.usefixtures("undrawn_pictures")
def test_an_unreadable_file_is_reported_and_the_others_are_explained(run, files, tmp_path):
    files[1].write_text("hello")
    found = explain(run, files, method="layer_cam", out=tmp_path / "out")
    assert "not an image" in found.images[1].prediction.error and found.images[1].picture is None
    assert [path.name for path in found.pictures] == ["0.png", "2.png", "3.png"]
    assert explain(run, files[1], out=tmp_path / "out").pictures == ()


@pytest.mark.usefixtures("undrawn_pictures")
def test_arrays_and_folders_have_names_of_their_own(run, files, tmp_path):
    arrays = list(small_data.pictures(2, channels=3)[0])
    assert [path.name for path in explain(run, arrays, method="layer_cam", out=tmp_path / "a").pictures] == [
        *("image_1.png", "image_2.png")
    ]
    folder = explain(run, files[0].parent, method="layer_cam", out=tmp_path / "b")
    assert len(folder.pictures) == len({*folder.pictures}) >= 4


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_pictures")
def test_auto_says_what_it_chose(run, files, tmp_path):
    told = []
    found = explain(run, files[:1], method="auto", out=tmp_path, progress=lambda *each: told.append(each))
    assert [result.method for result in found.images[0].results] == [found.choice.method]
    assert "measure methods" in {what for what, *_ in told} and told[-1][1] == told[-1][2]


@pytest.mark.usefixtures("undrawn_pictures")
def test_progress_comes_to_its_end(run, files, tmp_path):
    files[2].write_text("hello")
    told = []
    explain(
        run, files, method=["grad_cam", "layer_cam"], out=tmp_path, progress=lambda *each: told.append(each)
    )
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told) and told[-1] == (
        "explain",
        12,
        12,
    )


@pytest.mark.usefixtures("undrawn_pictures")
def test_a_method_that_cannot_is_refused_for_every_image(run, files, tmp_path, monkeypatch):
    def unable(*_):
        raise UserError("needs another network")

    other = {
        **{name: methods[name] for name in ("layer_cam",)},
        "x": Method("x", "X", "feature_maps", "", unable),
    }
    monkeypatch.setattr(module, "methods", other)
    found = explain(run, files, method="all", out=tmp_path)
    assert found.refusals()[-1] == "X: needs another network (4 images)"
    assert all(image.best is None or image.best == "layer_cam" for image in found.images)


@pytest.mark.slow
def test_a_refusal_is_drawn(run, files, tmp_path, monkeypatch):
    none = Method(
        "none", "None", "feature_maps", "", lambda model, images, targets: np.zeros((len(images), 3, 3))
    )
    monkeypatch.setattr(module, "methods", {"none": none})
    found = explain(run, files[0], method="all", out=tmp_path)
    assert (
        "every number of the map is 0" in found.images[0].results[0].refused and found.pictures[0].is_file()
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "gradcam"}, "did you mean 'grad_cam'"),
        ({"method": ["auto", "grad_cam"]}, "do not go together"),
        ({"method": []}, "do not go together"),
        ({"target": "cwo"}, "there is no class 'cwo'; did you mean 'cow'"),
        ({"layer": "stage9"}, "there is no layer 'stage9'; did you mean"),
        ({"layer": "head"}, "layer 'head' gives"),
        ({"images": []}, "no image was given"),
        ({"images": "nowhere.png"}, "no file or folder at nowhere.png"),
        ({"images": 3}, "int is not an image"),
        ({"run": "nowhere"}, "no run or bundle at nowhere"),
        ({"out": "FILE"}, "is a file; a folder is needed"),
    ],
)
def test_a_mistake_teaches(run, files, tmp_path, given, message):
    if given.get("out"):
        given = {"out": files[0]}
    arguments = {"run": run, "images": files, "out": tmp_path / "out"} | given
    with pytest.raises(UserError, match=message):
        explain(arguments.pop("run"), arguments.pop("images"), **arguments)
    assert not list(tmp_path.glob("out/*.png"))


class Custom(nn.Sequential):
    """A custom model without feature maps of more than one position."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(144, 3))


@pytest.mark.usefixtures("undrawn_pictures")
def test_a_custom_model(npz, files, tmp_path):
    folder = train(npz, model=Custom(), out=tmp_path / "run", epochs=1).folder
    with pytest.raises(UserError, match="model"):
        explain(folder, files, out=tmp_path / "out")
    found = explain(folder, files, model=Custom, out=tmp_path / "out")
    assert any("more than one position" in line for line in found.refusals())
    assert any(result.refused is None for result in found.images[0].results)
