"""A whole audit of labels, on small data with planted errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convscope
import photographs
import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.label_audit import audit as module
from convscope.label_audit import out_of_fold
from convscope.label_audit.audit import EPOCHS, check_labels, find_label_issues

pytestmark = pytest.mark.slow

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
WRONG = (3, 10, 50, 101, 155)
QUICK = RunConfig.from_dict(small_data.settings(epochs=4))


def planted(path: Path, **splits) -> Path:
    """Small data where five labels are wrong, and image 20 is a copy of image 0 under another label."""
    images, labels = small_data.pictures(180)
    for i in WRONG:
        labels[i] = (labels[i] + 1) % 3
    images[20] = images[0]
    np.savez(path, x_train=images, y_train=labels, classes=np.array(small_data.CLASSES), **splits)
    return path


def planted_photographs(root: Path) -> Path:
    """Photographs of which two lie in the folder of another class, and the same one lies in two folders."""
    folder = photographs.write(root / "set")
    moved = [("checks", "waves", "000.png"), ("stripes", "checks", "013.png")]
    for a, b, name in moved:
        (folder / a / name).rename(folder / b / name)
    (folder / "stripes" / "copy.png").write_bytes((folder / "waves" / "005.png").read_bytes())
    return folder


def check(data, out=None, config=QUICK, **arguments):
    config = config.merge({"data": {"source": str(data)}})
    return check_labels(config, out=out, folds=arguments.pop("folds", 3), observer=Silent(), **arguments)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("planted") / "small_data.npz")


@pytest.fixture(scope="module")
def report(data, tmp_path_factory):
    return check(data, tmp_path_factory.mktemp("labels") / "out")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return planted_photographs(tmp_path_factory.mktemp("photographs"))


def test_planted_errors_are_on_top(report):
    assert {row.position for row in report.issues[:5]} == set(WRONG)
    assert all(row.name == f"train#{row.position}" for row in report.issues)
    _, truth = small_data.pictures(180)
    assert all(row.suggested == small_data.CLASSES[truth[row.position]] for row in report.issues[:5])
    assert report.accuracy > 0.8 and 0.02 < report.wrong_fraction < 0.15


def test_one_picture_with_two_labels_is_certain_and_listed_once(report):
    assert [(sorted(c.names), c.suggested) for c in report.conflicts] == [(["train#0", "train#20"], "ant")]
    assert not {0, 20} & {row.position for row in report.issues}


def test_what_is_left_on_disk(report):
    names = {
        "settings.json",
        "labels.csv",
        "labels.json",
        "labels.png",
        *(f"fold_{k}.npz" for k in (1, 2, 3)),
    }
    assert {p.name for p in report.folder.iterdir()} == names
    value = json.loads((report.folder / "labels.json").read_text())
    assert value["issues"][0]["name"] == report.issues[0].name
    assert {"settings", "data", "seed", "command", "hardware", "versions", "joint"} <= value.keys() | value[
        "settings"
    ].keys()
    rows = list(csv.DictReader((report.folder / "labels.csv").read_text().splitlines()))
    assert len(rows) == 2 + len(report.issues) and rows[0]["conflict"] == "1" and rows[2]["conflict"] == ""
    with Image.open(report.folder / "labels.png") as picture:
        assert picture.width > 1000


def test_the_data_are_not_touched(photos, tmp_path):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in photos.rglob("*") if p.is_file()}
    check(photos, tmp_path / "out", photographs.config(photos))
    assert before == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in photos.rglob("*") if p.is_file()}


def test_photographs_get_a_head_by_default(photos, tmp_path):
    config = RunConfig.from_dict({"data": {"size": 72}, "train": {"threads": 1, "precision": "float32"}})
    report = check(photos, tmp_path / "out", config)
    assert [sorted(c.names) for c in report.conflicts] == [["stripes/copy.png", "waves/005.png"]]
    assert {"waves/000.png", "checks/013.png"} <= {row.name for row in report.issues[:4]}
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]
    assert settings["transfer.mode"] == "probe" and settings["train.epochs"] == 40


def test_a_network_from_scratch_gets_few_epochs_by_default(report, data, tmp_path):
    value = json.loads((report.folder / "settings.json").read_text())["settings"]
    assert value["train.epochs"] == 4
    left_open = QUICK.merge({"train": {"epochs": None}})
    settings = json.loads((check(data, tmp_path / "out", left_open).folder / "settings.json").read_text())[
        "settings"
    ]
    assert settings["train.epochs"] == EPOCHS


def test_the_same_audit_is_not_computed_twice(report, data, monkeypatch):
    monkeypatch.setattr(out_of_fold, "_predict", lambda *a, **k: pytest.fail("trained again"))
    again = check(data, report.folder)
    assert again.folder == report.folder and again.issues == report.issues


@pytest.mark.parametrize(
    "arguments",
    [
        {"folds": 2},
        {"split": "test"},
        {"config": QUICK.merge({"seed": 5})},
        {"config": QUICK.merge({"train": {"lr": 0.04}})},
    ],
)
def test_another_audit_goes_to_another_folder(tmp_path, arguments):
    images, labels = small_data.pictures(45, seed=1)
    data = planted(tmp_path / "small_data.npz", x_test=images, y_test=labels)
    first = check(data, tmp_path / "out")
    second = check(data, tmp_path / "out", **arguments)
    assert (first.folder.name, second.folder.name) == ("out", "out-2")
    assert second.images == (45 if "split" in arguments else 180)


def test_changed_data_are_another_audit(tmp_path):
    data = planted(tmp_path / "small_data.npz")
    check(data, tmp_path / "out")
    small_data.write_npz(data)
    clean = check(data, tmp_path / "out")
    assert clean.folder.name == "out-2" and len(clean.issues) < 5 and clean.conflicts == ()


def test_it_goes_on_after_a_kill(data, report, tmp_path, monkeypatch):
    real, calls = out_of_fold._predict, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(out_of_fold, "_predict", killed)
    with pytest.raises(KeyboardInterrupt):
        check(data, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"settings.json", "fold_1.npz", "fold_2.npz"}
    report = check(data, tmp_path / "out")
    assert len(calls) == 4 and report.issues == report.issues
    assert (report.folder / "labels.csv").read_bytes() == (report.folder / "labels.csv").read_bytes()


def test_the_public_function(data, report):
    arguments = {"config": QUICK, "folds": 3, "out": report.folder, "quiet": True}
    report = convscope.find_label_issues(data, **arguments)
    assert report.folder == report.folder and report.issues == report.issues
    assert find_label_issues(data, **arguments, seed=9).folder != report.folder


def test_without_a_folder_it_goes_below_artifacts(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check(data, config=QUICK.merge({"train": {"epochs": 1}})).folder == Path(
        "artifacts/labels_small_data"
    )


def test_data_without_issues_leave_no_sheet(tmp_path, monkeypatch):
    monkeypatch.setattr(
        module,
        "out_of_fold",
        lambda plan, *_: 9 * np.eye(3, dtype=np.float32)[plan.data.train.targets],
    )
    data = small_data.write_npz(tmp_path / "small_data.npz")
    report = check(data, tmp_path / "out")
    assert report.issues == () and report.conflicts == () and report.wrong_fraction == 0
    assert (
        not (report.folder / "labels.png").exists()
        and (report.folder / "labels.csv").read_text().count("\n") == 1
    )


def test_images_that_cannot_be_read_are_left_out(photos, tmp_path):
    folder = tmp_path / "set"
    photographs.write(folder)
    (folder / "waves" / "broken.png").write_bytes(b"not a picture")
    report = check(folder, tmp_path / "out", photographs.config(folder))
    assert report.images == 48


def test_settings_without_effect_are_named(data, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(Silent, "say", lambda self, text, style=None: lines.append(text))
    check(data, tmp_path / "out", QUICK.merge({"data": {"train_fraction": 0.5}, "train": {"epochs": 1}}))
    assert (
        "note: data.train_fraction, data.quarantine: no effect, since every image that can be read is checked"
        in lines
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "cannot be divided into 1 folds; give 2 to 90"),
        ({"folds": 91}, "cannot be divided into 91 folds"),
        ({"top": 0}, "--top 0 was given"),
        ({"top": 500}, "labels.csv has all of them"),
        ({"split": "validation"}, "has no split 'validation'; it has: train"),
    ],
)
def test_what_it_refuses_before_anything_is_written(data, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        check(data, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_two_at_a_time(report, data):
    with module.locked(report.folder), pytest.raises(UserError, match="another process"):
        check(data, report.folder)


def test_the_file_of_a_custom_model_is_part_of_the_key(data, tmp_path):
    own = tmp_path / "own.py"
    code = "from torch import nn\nclass Net(nn.Sequential):\n    def __init__(self):\n"
    own.write_text(code + "        super().__init__(nn.Flatten(), nn.Linear(144, 3))\n")
    config = QUICK.merge({"model": {"name": f"{own}:Net"}, "train": {"epochs": 1}})
    first = check(data, tmp_path / "out", config)
    own.write_text(
        code + "        super().__init__(nn.Flatten(), nn.Linear(144, 5), nn.ReLU(), nn.Linear(5, 3))\n"
    )
    assert check(data, tmp_path / "out", config).folder.name != first.folder.name


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "trashnet").is_dir(), reason="../shared/data is not there")
def test_the_three_pictures_of_trashnet_with_two_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        module,
        "out_of_fold",
        lambda plan, *_: np.zeros((len(plan.data.train), 6), np.float32),
    )
    config = RunConfig.from_dict({"data": {"size": 16}, "transfer": {"mode": "scratch"}})
    report = {
        frozenset(Path(name).stem for name in c.names)
        for c in check(DATA / "trashnet", tmp_path / "out", config).conflicts
    }
    assert report == {
        frozenset(pair)
        for pair in (("glass115", "metal91"), ("glass176", "plastic152"), ("glass389", "plastic332"))
    }
