"""The numbers beside a map: a map that is right beats chance and a map that is wrong, in every measure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convscope.core.decision import Decision
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import Attribution, explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.faithfulness.measure import Faithfulness, Measure, steps_for
from convscope.explanation.methods import Method
from deciding_patch import PatchAnswers, patch_images, patch_map
from rounding import same_but_for_rounding

COUNT = 5


def drawn(maps: np.ndarray) -> Method:
    """A method that gives these maps, whatever it is asked."""
    return Method("drawn", "Drawn", "predictions", "", lambda model, images, targets: maps)


@pytest.fixture(params=[1, 3])
def measured(request):
    """From maps to their numbers on a network that looks at one patch."""
    images = patch_images(COUNT, channels=request.param)
    model = ExplainedModel(PatchAnswers(), Preprocess(request.param, 16, 16))
    measure = Measure(model, images, np.ones(COUNT, np.int64), decision=Decision())
    return lambda maps: measure(explain_images(model, images, drawn(maps), targets=np.ones(COUNT, np.int64)))


def test_right_beats_chance_beats_wrong(measured):
    noise = np.random.default_rng(1).random((COUNT, 16, 16))
    right, chance, wrong = (
        measured(maps) for maps in (patch_map(COUNT) + noise / 9, noise, -patch_map(COUNT))
    )
    for good, bad in ((right, chance), (chance, wrong), (right, wrong)):
        assert good.insertion.mean() > bad.insertion.mean() + 0.1
        assert good.deletion.mean() < bad.deletion.mean() - 0.1
        assert good.road.mean() > bad.road.mean() + 0.1
        assert good.score.mean() > bad.score.mean() + 0.2
    assert (right.score > right.random_score + 0.2).all() and (wrong.score < wrong.random_score).all()


def test_chance_is_the_same_for_every_method(measured):
    a, b = measured(patch_map(COUNT)), measured(-patch_map(COUNT))
    np.testing.assert_array_equal(a.random_insertion, b.random_insertion)
    np.testing.assert_array_equal(a.random_deletion, b.random_deletion)


def test_a_refused_map_has_no_number_and_the_others_keep_theirs(measured):
    maps = patch_map(COUNT)
    whole = measured(maps)
    maps[1] = 0
    some = measured(maps)
    assert some.of(1) == {name: None for name in some.of(1) if not name.startswith("random")} | {
        name: pytest.approx(getattr(whole, name)[1])
        for name in ("random_deletion", "random_insertion", "random_score")
    }
    for name in ("insertion", "deletion", "road"):
        assert same_but_for_rounding(np.delete(getattr(some, name), 1), np.delete(getattr(whole, name), 1))


def test_all_refused_and_no_image_at_all(measured):
    assert measured(np.zeros((COUNT, 16, 16))).mean()["insertion"] is None
    model, none = ExplainedModel(PatchAnswers(), Preprocess(1, 16, 16)), np.zeros(0, np.int64)
    empty = Attribution(drawn(np.zeros(0)), np.zeros((0, 16, 16)), none, ())
    found = Measure(model, patch_images(0), none, decision=Decision())(empty)
    assert found.to_dict()["images"] == [] and found.mean()["score"] is None


def test_the_same_call_gives_the_same_numbers(measured):
    assert measured(patch_map(COUNT)).to_dict() == measured(patch_map(COUNT)).to_dict()


def test_the_dictionary_is_json_without_nan(measured):
    document = json.loads(json.dumps(measured(patch_map(COUNT)).to_dict(), allow_nan=False))
    assert document["sanity"] is None and len(document["images"]) == COUNT
    assert document["score"] == pytest.approx(document["insertion"] - document["deletion"])


def test_the_mean_leaves_out_what_is_missing():
    some, full = np.array([0.25, np.nan, 0.75]), np.zeros(3)
    found = Faithfulness(some, full, full, full, full, full * np.nan)
    assert (
        found.mean()["deletion"] == 0.5 and found.of(1)["deletion"] is None and found.mean()["sanity"] is None
    )


@pytest.mark.parametrize(("side", "steps"), [(28, 20), (96, 20), (97, 10), (224, 10)])
def test_large_images_are_asked_about_in_fewer_steps(side, steps):
    assert steps_for((1, side, side, 3)) == steps
