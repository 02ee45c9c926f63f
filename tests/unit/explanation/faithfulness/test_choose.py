"""`auto`: what is measured, who wins, what is remembered, and what happens where nothing can be written."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import small_data
from convscope.core.atomic import storage_error
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.explanation.explained_model import ExplainedRun, open_explained_run
from convscope.explanation.faithfulness import choose
from convscope.explanation.faithfulness.choose import (
    ALIKE,
    MethodChoice,
    choose_method,
    most_faithful,
    validation_images,
)
from convscope.explanation.methods import methods
from convscope.training.train import train_run
from no_drawing import undrawn

QUICK = ["grad_cam", "layer_cam", "eigen_cam"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("choose")
    config = RunConfig.from_dict(small_data.settings()).merge(
        {"data": {"source": str(small_data.write_npz(folder / "small_data.npz"))}}
    )
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        train_run(config, out=folder / "run", observer=Silent())
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of its own for each test, and few methods."""
    few = {name: methods[name] for name in QUICK}
    monkeypatch.setattr(choose, "methods", few)
    return open_explained_run(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def images():
    return small_data.pictures(3)[0]


def test_the_choice_is_measured_once_and_remembered(run, images, monkeypatch):
    first = choose_method(run, images)
    assert first.method in QUICK[:2] and set(first.scores) | set(first.refused) == set(QUICK)
    assert first.images == 16 and first.source == "16 images of the validation split"
    monkeypatch.setattr(choose, "measure_methods", None)  # another measurement would fail
    assert choose_method(run, images) == first
    assert choose_method(run, images[:0]) == first


def test_it_does_not_depend_on_the_images_given(run, images):
    first = choose_method(run, images)
    shutil.rmtree(run.folder / "explanation")
    assert choose_method(run, 255 - images) == first


def test_other_weights_another_layer_and_another_list_are_measured_anew(run, images, monkeypatch):
    choose_method(run, images)
    choose_method(ExplainedRun.of(run, layer="stage1"), images)
    key = next(iter(run.bundle.weights))
    run.bundle.weights[key] = run.bundle.weights[key] + 1
    choose_method(run, images)
    monkeypatch.setattr(choose, "methods", {"grad_cam": methods["grad_cam"]})
    choose_method(run, images)
    assert len(json.loads((run.folder / "explanation" / "methods.json").read_text())) == 4


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{broken"])
def test_a_damaged_memory_is_measured_anew(run, images, text):
    path = run.folder / "explanation" / "methods.json"
    path.parent.mkdir()
    path.write_text(text)
    assert choose_method(run, images).method in QUICK
    key = choose._key(run)
    path.write_text(json.dumps({key: {"method": 3}}))
    assert choose_method(run, images).method in QUICK


def test_a_folder_that_cannot_be_written_breaks_nothing(run, images, monkeypatch):
    def closed(path):
        raise storage_error(path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(choose, "make_folder", closed)
    assert choose_method(run, images).images == 16
    assert not (run.folder / "explanation").exists()


def test_without_data_the_images_given_decide_and_nothing_is_remembered(run, images):
    (run.folder / "split.json").unlink()
    assert validation_images(run) is None
    found = choose_method(run, images)
    assert (found.images, found.source) == (3, "the images given")
    assert not (run.folder / "explanation").exists()


def test_data_that_moved_away_are_not_searched_for(run):
    run.bundle.provenance["config"]["data"]["source"] = "cifar10"  # would have to be fetched
    assert validation_images(run) is None
    run.bundle.provenance.clear()
    assert validation_images(run) is None


@pytest.mark.parametrize(("side", "count"), [(28, 16), (64, 16), (90, 8), (224, 4)])
def test_large_images_are_fewer(side, count):
    assert choose._most((0, side, side, 3)) == count


def test_what_a_network_cannot_show_is_refused_and_not_fatal(run, images, monkeypatch):
    def unable(*_):
        raise UserError("needs another network")

    monkeypatch.setattr(choose, "methods", {"grad_cam": methods["grad_cam"], "x": _Method(unable)})
    assert choose_method(run, images).refused["x"] == "needs another network"
    monkeypatch.setattr(choose, "methods", {"x": _Method(unable)})
    with pytest.raises(UserError, match="no method of explaining has a map"):
        choose_method(run, images)


class _Method:
    needs, class_agnostic, relu = "predictions", False, False

    def __init__(self, compute):
        self.compute = compute


def test_a_tie_goes_to_the_cheaper_and_then_to_the_first():
    assert most_faithful({"occlusion": 0.5, "saliency": 0.5, "layer_cam": 0.5, "grad_cam": 0.5}) == "grad_cam"
    assert most_faithful({"occlusion": 0.5, "saliency": 0.5 - ALIKE / 2}) == "saliency"
    assert most_faithful({"occlusion": 0.5, "saliency": 0.5 - 2 * ALIKE}) == "occlusion"


def test_a_map_that_is_the_same_for_every_class_wins_alone():
    assert most_faithful({"eigen_cam": 0.9, "grad_cam": 0.1}) == "grad_cam"
    assert most_faithful({"eigen_cam": 0.9}) == "eigen_cam"
    with pytest.raises(UserError, match="--method all"):
        most_faithful({})


def test_the_line_names_the_next_best():
    line = MethodChoice("rise", {"rise": 0.5, "cam": 0.1, "grad_cam": 0.4}, {}, 4, "the images given").line()
    assert line.endswith("rise (insertion − deletion 0.50), then grad_cam (0.40), cam (0.10)")


def test_progress_is_told(run, images):
    told = []
    choose.measure_methods(_telling(run, told), images, source="")
    assert [done for _, done, _ in told] == [0, 1, 2] and {total for *_, total in told} == {3}
    assert np.isfinite(list(choose.measure_methods(run, images, source="").scores.values())).all()


def _telling(run, told):
    from dataclasses import replace

    return replace(run, progress=lambda *words: told.append(words))


def test_the_line_has_no_zero_below_zero():
    line = MethodChoice("cam", {"cam": -0.001, "rise": -0.2}, {}, 4, "the images given").line()
    assert line.endswith("cam (insertion − deletion 0.00), then rise (−0.20)")
