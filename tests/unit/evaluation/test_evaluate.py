from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.evaluation.evaluate import evaluate
from convscope.inference.load import load
from convscope.training.train import train_run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data.write_npz(tmp_path_factory.mktemp("data") / "small_data.npz")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    made = RunConfig.from_dict(small_data.settings(epochs=3)).merge({"data": {"source": str(data)}})
    return train_run(made, out=tmp_path_factory.mktemp("runs") / "run", observer=Silent()).folder


@pytest.fixture(autouse=True)
def _quick(no_pictures): ...


@pytest.mark.slow
def test_the_figures_are_those_of_training(run, tmp_path):
    told = []
    result = evaluate(run, out=tmp_path, progress=lambda what, done, total: told.append((what, done, total)))
    found = result.result
    assert found.to_dict() == Bundle.load(run).metrics["test"]
    assert found.logits.shape == (45, 3) and result.decision == Bundle.load(run).decision
    assert result.metrics.top1 == np.mean(found.logits.argmax(1) == result.images.targets)
    assert told[-1] == ("predict", 45, 45) and result.folder == tmp_path
    assert evaluate(run / "bundle.safetensors", out=tmp_path).metrics.top1 == result.metrics.top1
    assert evaluate(run, split="validation", out=tmp_path).metrics.images == 18


@pytest.mark.slow
def test_robustness_where_it_is_asked_for(run, tmp_path):
    told = []
    result = evaluate(run, out=tmp_path, robustness=True, progress=lambda *words: told.append(words))
    assert told[-1] == ("robustness", 40, 40) and result.robustness.clean == result.metrics.top1
    assert result.to_dict()["robustness"] == json.loads((tmp_path / "test_robustness.json").read_text())
    assert evaluate(run, out=tmp_path).robustness is None


def test_only_the_split_that_is_asked_for_is_opened(run, tmp_path, monkeypatch):
    from convscope.data.sources.origin import Source

    opened, real = [], Source.open
    monkeypatch.setattr(Source, "open", lambda s, split: (opened.append(split), real(s, split))[1])
    evaluate(run, split="validation", out=tmp_path)
    assert "test" not in opened


def test_class_names_and_not_numbers_count(run, tmp_path):
    images, labels = small_data.pictures(30, seed=9)
    np.savez(
        tmp_path / "other.npz", images=images, labels=2 - labels, classes=np.array(("cow", "bee", "ant"))
    )
    truth = load(run).predict(images).argmax(1)
    assert evaluate(run, tmp_path / "other.npz", out=tmp_path).metrics.top1 == np.mean(truth == labels)


def test_fewer_classes_do_and_foreign_ones_do_not(run, tmp_path):
    images, labels = small_data.pictures(30)
    some = labels < 2
    np.savez(tmp_path / "few.npz", images=images[some], labels=labels[some], classes=np.array(("ant", "bee")))
    result = evaluate(run, tmp_path / "few.npz", out=tmp_path)
    assert result.metrics.images == 20 and "1 of 3 classes have no images" in result.metrics.notes[0]
    np.savez(tmp_path / "more.npz", images=images, labels=labels, classes=np.array(("ant", "bee", "emu")))
    with pytest.raises(UserError, match="does not know: emu; it knows ant, bee, cow"):
        evaluate(run, tmp_path / "more.npz", out=tmp_path)


def test_other_sizes_and_channels_are_prepared_as_the_bundle_says(run, tmp_path):
    folder = small_data.write_folder(tmp_path / "photos", count=12, channels=3)
    assert evaluate(run, folder, out=tmp_path / "e").metrics.images == 12


def test_images_that_cannot_be_read_are_named_and_not_counted(run, tmp_path):
    folder = small_data.write_folder(tmp_path / "photos", count=12)
    (folder / "bee" / "001.png").write_bytes(b"broken")
    result = evaluate(run, folder, out=tmp_path / "e")
    assert result.metrics.images == 11 and [name for name, _ in result.failed] == ["bee/001.png"]
    assert result.to_dict()["failed"][0][0] == "bee/001.png"


def test_a_split_that_other_data_do_not_have(run, tmp_path):
    images, labels = small_data.pictures(12)
    split = {"train_images": images, "train_labels": labels, "val_images": images, "val_labels": labels}
    np.savez(tmp_path / "two.npz", **split, classes=np.array(small_data.CLASSES))
    assert evaluate(run, tmp_path / "two.npz", split="validation", out=tmp_path / "e").metrics.images == 12
    with pytest.raises(UserError, match="has no split 'test'; it has: train, validation"):
        evaluate(run, tmp_path / "two.npz", out=tmp_path / "e")


def test_a_bundle_alone_knows_its_official_test_split_only(run, tmp_path):
    shutil.copy(run / "bundle.safetensors", tmp_path / "alone.safetensors")
    assert evaluate(tmp_path / "alone.safetensors", out=tmp_path / "e").metrics.images == 45
    with pytest.raises(
        UserError, match=r"split\.json is missing, so nobody knows which images were validation"
    ):
        evaluate(tmp_path / "alone.safetensors", split="validation", out=tmp_path / "e")


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_damaged_record_is_one_line(run, tmp_path, text):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "split.json").write_text(text)
    with pytest.raises(UserError, match=r"split\.json is damaged"):
        evaluate(tmp_path / "run")


def test_a_split_that_is_none(run):
    with pytest.raises(UserError, match="there is no split 'tset'; allowed: train, validation, test"):
        evaluate(run, split="tset")


def test_a_folder_that_cannot_be_made_is_said_before_the_work(run, tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    with pytest.raises(UserError, match="is a file; a folder is needed"):
        evaluate(run, out=tmp_path / "file", progress=lambda what, *_: told.append(what))
    assert "predict" not in told


def test_a_bundle_that_does_not_say_where_it_comes_from(run, tmp_path):
    bundle = Bundle.load(run)
    bundle.provenance.clear()
    bundle.save(tmp_path / "bundle.safetensors")
    with pytest.raises(UserError, match="name the images with --data"):
        evaluate(tmp_path)


def test_other_data_leave_the_run_s_own_results_alone(run, tmp_path):
    mine = shutil.copytree(run, tmp_path / "run")
    own = evaluate(mine)
    assert own.folder == mine / "evaluation" and own.split == "test"
    before = (own.folder / "test_metrics.json").read_bytes()
    images, labels = small_data.pictures(30, seed=9)
    np.savez(tmp_path / "other.npz", images=images, labels=labels, classes=np.array(small_data.CLASSES))
    other = evaluate(mine, tmp_path / "other.npz")
    assert (other.folder, other.split) == (mine / "evaluation_other", "all")
    assert (other.folder / "all_metrics.json").is_file()
    assert (own.folder / "test_metrics.json").read_bytes() == before
