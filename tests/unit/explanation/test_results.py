"""Results as values: means, the most faithful, refusals, JSON and the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from convscope.explanation.faithfulness.choose import MethodChoice
from convscope.explanation.results import Explanation, ImageExplanation, MethodResult
from convscope.inference.prediction import Prediction, failed_prediction

KEYS = ("deletion", "insertion", "random_deletion", "random_insertion", "road", "sanity")
ANSWER = Prediction("a.png", "cat", 0.9, (("cat", 0.9),))


def result(name: str, insertion: float, *, refused: str | None = None, title: str = "") -> MethodResult:
    numbers = dict.fromkeys(KEYS, 0.25) | {
        "insertion": insertion,
        "score": insertion - 0.25,
        "random_score": 0.1,
    }
    return MethodResult(name, title or name, refused, numbers)


def image(*results: MethodResult) -> ImageExplanation:
    return ImageExplanation(ANSWER, "cat", Path("a.png"), results)


def shown(explanation: Explanation, width: int = 80) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(explanation.table())
    return capture.get()


def test_the_best_is_the_most_faithful_on_average():
    found = Explanation(
        Path("x"),
        (
            image(result("grad_cam", 0.9), result("occlusion", 0.5)),
            image(result("grad_cam", 0.3), result("occlusion", 0.9)),
        ),
    )
    assert [one.best for one in found.images] == ["grad_cam", "occlusion"] and found.best == "occlusion"
    assert found.means()["grad_cam"]["insertion"] == pytest.approx(0.6)


def test_refusing_hard_images_does_not_win():
    found = Explanation(
        Path("x"),
        (
            image(result("grad_cam", 0.9), result("occlusion", 0.8)),
            image(result("grad_cam", 0.9, refused="nothing"), result("occlusion", 0.8)),
        ),
    )
    assert found.best == "occlusion"
    assert found.refusals() == ["grad_cam: nothing"]


def test_one_method_is_no_competition_and_all_refused_have_no_best():
    assert image(result("grad_cam", 0.9)).best is None
    every = image(result("grad_cam", 0.9, refused="no"), MethodResult("cam", "CAM", "never"))
    assert every.best is None and Explanation(Path("x"), (every,)).best is None


@pytest.mark.parametrize(("insertion", "best"), [(0.352, None), (0.36, "occlusion")])
def test_none_is_the_most_faithful_where_all_are_worth_what_chance_is(insertion, best):
    one = image(result("grad_cam", 0.2), result("occlusion", insertion))  # by chance 0.1, a tie up to 0.105
    assert one.best == best
    assert ("★" in shown(Explanation(Path("x"), (one,)))) == (best is not None)


def test_an_unreadable_image_has_an_answer_alone():
    found = Explanation(
        Path("x"), (ImageExplanation(failed_prediction("b.png", "cut short")), image(result("grad_cam", 1)))
    )
    assert [answer.error for answer in found.predictions] == ["cut short", None] and found.pictures == (
        Path("a.png"),
    )
    assert found.to_dict()["images"][0]["picture"] is None


def test_the_dictionary_is_json():
    choice = MethodChoice("grad_cam", {"grad_cam": 0.5}, {"cam": "no"}, 4, "the images given")
    document = json.loads(
        json.dumps(Explanation(Path("x"), (image(result("grad_cam", 1)),), choice).to_dict())
    )
    assert document["choice"]["method"] == "grad_cam" and document["means"]["grad_cam"]["insertion"] == 1
    (method,) = document["images"][0]["methods"]
    assert set(method["numbers"]) == {*KEYS, "score", "random_score"} and method["refused"] is None


@pytest.mark.parametrize("width", [56, 80])
def test_the_table_marks_the_best_and_what_was_refused(width):
    found = Explanation(
        Path("x"),
        (
            image(
                result("grad_cam", 0.9, title="Grad-CAM"),
                result("occlusion", 0.5, title="Occlusion"),
                result("cam", 0, refused="no", title="CAM"),
            ),
        ),
    )
    text = shown(found, width)
    assert max(map(len, text.splitlines())) <= width
    assert "★" in text and "0.90" in text and "by chance" in " ".join(text.split()) and "…" not in text
    assert "1/1" in text and "0.50" in text


def test_repeated_refusals_are_counted():
    one = image(result("cam", 0, refused="no", title="CAM"))
    assert Explanation(Path("x"), (one, one)).refusals() == ["CAM: no (2 images)"]
