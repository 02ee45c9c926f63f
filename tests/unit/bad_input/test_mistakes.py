"""Small mistakes at the command line that must not pass for success."""

from __future__ import annotations

import os

import pytest
from PIL import Image

import small_data
from convscope.cli import main

pytestmark = pytest.mark.slow

QUICK = [
    "--epochs",
    "1",
    "--model",
    "simple_cnn",
    "--set",
    "train.precision=float32",
    "--set",
    "train.threads=1",
]


@pytest.fixture(scope="module")
def run(npz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes") / "run"
    assert main(["train", str(npz), "--out", str(folder), "--set", "data.quarantine=none", *QUICK]) == 0
    return folder


def test_predict_fails_where_no_file_is_an_image(run, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("hello")
    assert main(["predict", str(run), str(tmp_path / "text.jpg")]) == 1
    output = capsys.readouterr()
    assert (
        "not an image" in output.out and output.err.count("\n") == 1 and "none of the 1 files" in output.err
    )
    Image.new("L", (12, 12)).save(tmp_path / "good.png")
    assert main(["predict", str(run), str(tmp_path)]) == 0


@pytest.mark.parametrize("top", ["0", "-1"])
def test_predict_refuses_to_print_no_class(run, tmp_path, capsys, top):
    Image.new("L", (12, 12)).save(tmp_path / "good.png")
    assert main(["predict", str(run), str(tmp_path), f"--top={top}"]) == 2
    assert "give 1 or more" in capsys.readouterr().err


def test_scan_names_what_it_did_not_read(tmp_path, capsys):
    folder = small_data.write_folder(tmp_path / "photos", count=6)
    (folder / "ant" / ".ipynb_checkpoints").mkdir()
    assert main(["scan", str(folder)]) == 0
    assert ".ipynb_checkpoints" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_a_file_name_that_is_no_utf8_does_not_stop_training(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    folder = small_data.write_folder(tmp_path / "photos")
    try:
        (folder / "ant" / "000.png").rename(folder / "ant" / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    arguments = ["train", str(folder), "--out", str(tmp_path / "run"), *QUICK]
    assert main(arguments) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0


def test_resume_knows_the_data_by_another_spelling(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small_data.write_folder(tmp_path / "photos")
    assert main(["train", "photos", "--out", "run", *QUICK]) == 0
    capsys.readouterr()
    assert main(["train", "./photos/", "--out", "run", "--resume", *QUICK]) == 0
    assert "finished already" in capsys.readouterr().out


def test_the_next_command_can_be_typed_for_a_folder_with_a_space(npz, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(npz), "--out", "my run", "--set", "data.quarantine=none", *QUICK]) == 0
    assert "evaluate 'my run'" in capsys.readouterr().out
