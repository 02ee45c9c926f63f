"""`convscope explain`: what is typed, what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest
from PIL import Image

import small_data
from convscope.cli import main
from convscope.core.config import RunConfig
from convscope.core.run.progress import Silent
from convscope.explanation import explain as module
from convscope.training.train import train_run
from no_drawing import undrawn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(npz, tmp_path_factory):
    made = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(npz)}})
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        return train_run(made, out=tmp_path_factory.mktemp("verb") / "run", observer=Silent()).folder


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(small_data.pictures(3)[0]):
        Image.fromarray(image[..., 0]).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def said(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def type_in(*words, out=True):
        capsys.readouterr()
        code = main(
            ["explain", str(run), *map(str, words), *(["--out", str(tmp_path / "out")] if out else [])]
        )
        return code, *capsys.readouterr()

    return type_in


def test_answers_numbers_and_where_the_pictures_are(said, files, tmp_path):
    code, shown, err = said(*files, "--method", "grad_cam,layer_cam", "--method", "occlusion")
    assert (code, err) == (0, "")
    for part in (
        "0.png",
        "probability",
        "insertion",
        "deletion",
        "ROAD",
        "untrained",
        "LayerCAM",
        "by chance",
        "★",
    ):
        assert part in shown
    assert shown.splitlines()[-1] == f"pictures: {tmp_path / 'out'}"


def test_one_image_names_its_picture(said, files, tmp_path):
    _, shown, _ = said(files[0], "--method", "layer_cam", "--class", "bee")
    assert shown.splitlines()[-1] == f"picture: {tmp_path / 'out' / '0.png'}"


def test_json_and_nothing_else(said, files):
    code, shown, err = said(*files, "--method", "layer_cam", "--json")
    document = json.loads(shown)
    assert (code, err) == (0, "") and len(document["images"]) == 3
    assert document["images"][0]["methods"][0]["method"] == "layer_cam"


def test_many_answers_are_cut(said, files, monkeypatch):
    monkeypatch.setattr("convscope.commands.explain.LISTED", 2)
    _, shown, _ = said(files[0].parent, "--method", "layer_cam")
    assert "… and 1 more, in explanation.json" in shown


def test_auto_says_why(said, files, monkeypatch):
    _, shown, _ = said(files[0], "--method", "auto")
    assert "most faithful on 16 images of the validation split: " in shown


def test_a_refusal_is_printed(said, files, monkeypatch):
    _, shown, _ = said(files[0], "--method", "all")
    lines = shown.splitlines()
    reasons = [line for line in lines if line.startswith("no map: ")]
    assert len(reasons) == sum(line.rstrip().endswith(" 1/1") for line in lines)
    assert any(line.startswith("no map: CAM: CAM needs") for line in reasons)


def test_a_file_that_is_no_image(said, files):
    files[0].write_text("hello")
    code, shown, _ = said(*files, "--method", "layer_cam")
    assert code == 0 and "not an image" in shown
    code, shown, err = said(files[0])
    assert (
        code == 1 and "not an image" in shown and err.startswith("error: none of the 1 files could be read")
    )


@pytest.mark.parametrize("what", ["filters", "maps"])
def test_what_it_learned(said, tmp_path, what):
    code, shown, err = said("--show", what)
    assert (code, err) == (0, "") and f"picture: {tmp_path / 'out' / what}.png" in shown
    code, shown, _ = said("--show", what, "--json")
    assert json.loads(shown)["what"] == what


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("--show field", "--show receptive-field", "--show field is now --show receptive-field"),
        ("--show maps --unit stage1", "--show maps --channel stage1", "--unit is now --channel"),
    ],
)
def test_an_old_word_is_read_and_a_line_says_the_new_one(said, old, new, line):
    expected = said(*new.split())
    assert expected[0] == 0 and expected[2] == ""
    assert said(*old.split()) == (*expected[:2], line + "\n")


def test_ctrl_c_is_one_line(said, files, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "explain_images", stop)
    assert said(files[0]) == (130, "", "error: stopped by Ctrl-C\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no image was given; for heat maps name files or folders"),
        ([], "--show filters"),
        (["{file}", "--channel", "stage1"], "--channel goes with --show"),
        (["{file}", "--data", "x"], "--data goes with --show"),
        (["--show", "maps", "--method", "rise"], "--method is for heat maps"),
        (["--show", "maps", "--class", "bee"], "--class is for heat maps"),
        (["--show", "maps", "--layer", "stage1"], "a layer or channel is --channel"),
        (["--show", "filterz"], 'Did you mean "filters"'),
        (["{file}", "--class", "bea"], "did you mean 'bee'"),
        (["{file}", "--layer", "stag1"], "did you mean 'stage1'"),
        (["{file}", "--method", "grad-cam"], "did you mean 'grad_cam'"),
        (["{file}", "--method", ","], "--method names no method"),
        (["--show", "filters", "--channel", "stage1"], "the view filters has no use for channel"),
        (["--show", "filters", "--data", "x"], "the view filters has no use for data"),
        (["{file}", "--show", "embedding"], "the view embedding has no use for images"),
        (["nowhere.png"], "there is no file or folder at nowhere.png"),
        (["{file}", "--model", "nowhere.py:Net"], "nowhere.py"),
    ],
)
def test_a_mistake_is_one_line(said, files, words, message):
    code, _, err = said(*(word.format(file=files[0]) for word in words))
    assert code == 2 and message in err and err.startswith("error: ") and err.count("\n") == 1
