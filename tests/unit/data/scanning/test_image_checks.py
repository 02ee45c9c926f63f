from __future__ import annotations

import numpy as np
import pytest

from convscope.data.preparing.decode import UnreadableImage
from convscope.data.scanning.image_checks import HUGE, Scanned, check_classes, check_images
from convscope.data.scanning.image_facts import ImageFacts


def facts(height: int = 100, width: int = 100, mode: str = "RGB", **others: object) -> ImageFacts:
    defaults = {"turned": False, "actual": "", "digest": b"", "thumbnail": np.zeros((32, 32), np.uint8)}
    return ImageFacts(height, width, mode, **{**defaults, **others})  # type: ignore[arg-type]


def split(*looks: ImageFacts | UnreadableImage) -> Scanned:
    names = [f"{i}.jpg" for i in range(len(looks))]
    return Scanned("train", ("cat",), np.zeros(len(looks), np.int64), names, looks)


@pytest.mark.parametrize(
    ("looks", "kinds"),
    [
        (facts(), []),
        (facts(15, 100), ["tiny", "long"]),
        (facts(16, 16), []),
        (facts(100, 500), []),
        (facts(100, 501), ["long"]),
        (facts(HUGE // 5000 + 1, 5000), ["huge"]),
        (facts(turned=True), ["turned"]),
        (facts(actual="PNG"), ["ending"]),
        (UnreadableImage("0.jpg", "too large", "bomb"), ["bomb"]),
    ],
)
def test_one_image(looks: ImageFacts | UnreadableImage, kinds: list[str]) -> None:
    assert [finding.kind for finding in check_images([split(looks)])] == kinds


def test_modes_are_counted_over_all_splits() -> None:
    found = check_images([split(facts(), facts(mode="L")), split(facts())])
    assert [(finding.kind, finding.items) for finding in found] == [("modes", (("RGB", "2"), ("L", "1")))]


@pytest.mark.parametrize(("largest", "severity"), [(5, None), (6, "note"), (19, "note"), (20, "warning")])
def test_imbalance_begins_at_three_to_one(largest: int, severity: str | None) -> None:
    labels = np.array([0] * largest + [1] * 2)
    scanned = Scanned("train", ("cat", "dog"), labels, [""] * len(labels), [facts()] * len(labels))
    assert [finding.severity for finding in check_classes([scanned])] == ([severity] if severity else [])


def test_a_class_that_only_training_has_is_a_warning() -> None:
    train = Scanned("train", ("cat", "dog"), np.array([0, 0, 1, 1]), [""] * 4, [facts()] * 4)
    test = Scanned("test", ("cat", "dog"), np.array([0, 0]), [""] * 2, [facts()] * 2)
    found = {finding.kind: finding for finding in check_classes([train, test])}
    assert found["class sets differ"].severity == "warning"
    assert found["class sets differ"].items == (("dog", "absent from test"),)
    assert found["empty class"].items == (("dog", "test"),)
