"""What an explanation found, as values: for each image its answer, and for each method its numbers or its
refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.explanation.faithfulness.choose import ALIKE, MethodChoice, most_faithful
from convscope.inference.prediction import Prediction

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = {"insertion": "insertion", "deletion": "deletion", "road": "ROAD", "sanity": "untrained"}


@dataclass(frozen=True)
class MethodResult:
    """One method on one image: why it was `refused`, or None and `numbers` as `Faithfulness.of` names
    them.
    """

    method: str
    title: str
    refused: str | None = None
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """Insertion − deletion; without a map, that of an order by chance."""
        return self.numbers.get("random_score" if self.refused else "score")


@dataclass(frozen=True)
class ImageExplanation:
    """One image: its `answer`, the class `label` that is explained, its `picture`, and a reading a method.

    Of an image that cannot be read there is only `answer.error`.
    """

    answer: Prediction
    label: str | None = None
    picture: Path | None = None
    readings: tuple[MethodResult, ...] = ()

    @property
    def best(self) -> str | None:
        """The most faithful of its methods, None where there is none to compare or none that is better than
        chance.
        """
        return _best([self])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "answer": self.answer.to_dict(),
            "explained": self.label,
            "picture": None if self.picture is None else str(self.picture),
            "most_faithful": self.best,
            "methods": [{**vars(reading), "numbers": dict(reading.numbers)} for reading in self.readings],
        }


@dataclass(frozen=True)
class Explanation:
    """All images of one call, in their order; pictures are in `folder`. `choice`: how `auto` came to its
    method.
    """

    folder: Path
    images: tuple[ImageExplanation, ...]
    choice: MethodChoice | None = None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """Every picture that was written."""
        return tuple(image.picture for image in self.images if image.picture is not None)

    @property
    def answers(self) -> tuple[Prediction, ...]:
        """The answer for each image, with an `error` for one that cannot be read."""
        return tuple(image.answer for image in self.images)

    @property
    def best(self) -> str | None:
        """The method that is most faithful over all images, None as for one image."""
        return _best(self.images)

    def means(self) -> dict[str, dict[str, float | None]]:
        """By method, the means of its numbers over the images that have them; None where none has."""
        return {
            name: _means([r.numbers for r in readings]) for name, readings in _by_method(self.images).items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "folder": str(self.folder),
            "most_faithful": self.best,
            "means": self.means(),
            "choice": None if self.choice is None else self.choice.to_dict(),
            "images": [image.to_dict() for image in self.images],
        }

    def table(self) -> Table:
        """A rich table: a method a row with its means, how often it was refused, and ★ at the most
        faithful.
        """
        from rich.table import Table

        table = Table(box=None, header_style="bold")
        table.add_column("method", overflow="fold", min_width=10)
        for title in COLUMNS.values():
            table.add_column(title, justify="right", overflow="fold", max_width=9)
        table.add_column("no map", justify="right", min_width=3)
        chance: dict[str, float | None] = {}
        for name, readings in _by_method(self.images).items():
            means = self.means()[name]
            if any(not reading.refused for reading in readings):
                chance = chance or {key: means[f"random_{key}"] for key in ("insertion", "deletion")} | {
                    "road": 0.0
                }
            mark = " ★" if name == self.best else ""
            table.add_row(
                readings[0].title + mark, *(shown(means.get(key)) for key in COLUMNS), _note(readings)
            )
        if chance:
            table.add_row("by chance", *(shown(chance.get(key)) for key in COLUMNS), "", style="dim")
        return table

    def refusals(self) -> list[str]:
        """A line for each method and reason for which there is no map."""
        found: dict[str, int] = {}
        for image in self.images:
            for reading in image.readings:
                if reading.refused:
                    line = f"{reading.title}: {reading.refused}"
                    found[line] = found.get(line, 0) + 1
        return [line if count == 1 else f"{line} ({count} images)" for line, count in found.items()]


def shown(number: float | None) -> str:
    """A number of a table.

    >>> shown(0.256), shown(-0.004), shown(None)
    ('0.26', '0.00', '–')
    """
    return "–" if number is None else f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def _note(readings: list[MethodResult]) -> str:
    refused = sum(reading.refused is not None for reading in readings)
    return f"{refused}/{len(readings)}" if refused else ""


def _by_method(
    images: tuple[ImageExplanation, ...] | list[ImageExplanation],
) -> dict[str, list[MethodResult]]:
    found: dict[str, list[MethodResult]] = {}
    for image in images:
        for reading in image.readings:
            found.setdefault(reading.method, []).append(reading)
    return found


def _means(numbers: list[Mapping[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for key in dict.fromkeys(key for one in numbers for key in one):
        known = [value for one in numbers if (value := one.get(key)) is not None]
        means[key] = sum(known) / len(known) if known else None
    return means


def _best(images: tuple[ImageExplanation, ...] | list[ImageExplanation]) -> str | None:
    by_method = _by_method(images)
    scores = {}
    for name, readings in by_method.items():
        known = [reading.score for reading in readings if reading.score is not None]
        if known and any(not reading.refused for reading in readings):
            scores[name] = sum(known) / len(known)
    if not scores or len(by_method) < 2:
        return None
    best = most_faithful(scores)
    chance = _means([reading.numbers for readings in by_method.values() for reading in readings]).get(
        "random_score"
    )
    # Where the answer stays the same whatever is taken away, no map is more faithful than another.
    return best if chance is None or scores[best] > chance + ALIKE else None
