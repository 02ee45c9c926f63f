"""The result of an explanation: for each image its prediction, and for each method numbers or refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.explanation.faithfulness.choose import ALIKE, MethodChoice, most_faithful, two_digits
from convscope.inference.prediction import Prediction

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = {"insertion": "insertion", "deletion": "deletion", "road": "ROAD", "sanity": "untrained"}


@dataclass(frozen=True)
class MethodResult:
    """One method on one image: why it was `refused`, or None and the `numbers` of `Faithfulness.of`."""

    method: str
    title: str
    refused: str | None = None
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """Insertion − deletion; without a map, that of an order by chance."""
        # A refusal counts like an order by chance, so that no method gains by refusing hard images.
        return self.numbers.get("random_score" if self.refused else "score")


@dataclass(frozen=True)
class ImageExplanation:
    """One image: its `prediction`, the class `label` that is explained, its `picture`, and a result a method.

    Of an image that cannot be read there is only `prediction.error`.
    """

    prediction: Prediction
    label: str | None = None
    picture: Path | None = None
    results: tuple[MethodResult, ...] = ()

    @property
    def best(self) -> str | None:
        """The most faithful of its methods; None where none is to be compared, or better than chance."""
        return _best([self])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "answer": self.prediction.to_dict(),
            "explained": self.label,
            "picture": None if self.picture is None else str(self.picture),
            "most_faithful": self.best,
            "methods": [{**vars(result), "numbers": dict(result.numbers)} for result in self.results],
        }


@dataclass(frozen=True)
class Explanation:
    """All images of one call, in their order, with pictures in `folder`; `choice` is what `auto` chose."""

    folder: Path
    images: tuple[ImageExplanation, ...]
    choice: MethodChoice | None = None

    @property
    def pictures(self) -> tuple[Path, ...]:
        """Every picture that was written."""
        return tuple(image.picture for image in self.images if image.picture is not None)

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """The prediction for each image, with an `error` for one that cannot be read."""
        return tuple(image.prediction for image in self.images)

    @property
    def best(self) -> str | None:
        """The method that is most faithful over all images, None as for one image."""
        return _best(self.images)

    def means(self) -> dict[str, dict[str, float | None]]:
        """By method, the means of its numbers over the images that have them; None where none has."""
        return {name: _means(results) for name, results in _by_method(self.images).items()}

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
        """A rich table: a row a method, its means, how often it was refused, and ★ at the most faithful."""
        from rich.table import Table

        table = Table(box=None, header_style="bold")
        table.add_column("method", overflow="fold", min_width=10)
        for title in COLUMNS.values():
            table.add_column(title, justify="right", overflow="fold", max_width=9)
        table.add_column("no map", justify="right", min_width=3)
        means, best = self.means(), self.best
        for name, results in _by_method(self.images).items():
            mark = " ★" if name == best else ""
            table.add_row(results[0].title + mark, *_cells(means[name]), _note(results))
        # One line for all: the order by chance does not depend on the method.
        if chance := next((_chance(mean) for mean in means.values() if "random_insertion" in mean), None):
            table.add_row("by chance", *_cells(chance), "", style="dim")
        return table

    def refusals(self) -> list[str]:
        """A line for each method and reason for which there is no map."""
        found: dict[str, int] = {}
        for image in self.images:
            for result in image.results:
                if result.refused:
                    line = f"{result.title}: {result.refused}"
                    found[line] = found.get(line, 0) + 1
        return [line if count == 1 else f"{line} ({count} images)" for line, count in found.items()]


def shown(number: float | None) -> str:
    """A number of a table.

    >>> shown(0.256), shown(None)
    ('0.26', '–')
    """
    return "–" if number is None else two_digits(number)


def _cells(numbers: Mapping[str, float | None]) -> list[str]:
    return [shown(numbers.get(key)) for key in COLUMNS]


def _chance(means: Mapping[str, float | None]) -> dict[str, float | None]:
    # ROAD subtracts both ends of one order from each other, so an order by chance has 0 on average.
    return {"insertion": means["random_insertion"], "deletion": means["random_deletion"], "road": 0.0}


def _note(results: Sequence[MethodResult]) -> str:
    refused = sum(result.refused is not None for result in results)
    return f"{refused}/{len(results)}" if refused else ""


def _by_method(images: Sequence[ImageExplanation]) -> dict[str, list[MethodResult]]:
    found: dict[str, list[MethodResult]] = {}
    for image in images:
        for result in image.results:
            found.setdefault(result.method, []).append(result)
    return found


def _means(results: Sequence[MethodResult]) -> dict[str, float | None]:
    """Of each number, over the results that have it."""
    known: dict[str, list[float]] = {}
    for result in results:
        for key, value in result.numbers.items():
            known.setdefault(key, []).extend([] if value is None else [value])
    return {key: sum(values) / len(values) if values else None for key, values in known.items()}


def _best(images: Sequence[ImageExplanation]) -> str | None:
    by_method = _by_method(images)
    scores = {name: score for name, results in by_method.items() if (score := _score(results)) is not None}
    # Nothing is the most faithful of one.
    if not scores or len(by_method) < 2:
        return None
    # Of methods that tie the cheaper one: a difference below 0.005 is chance.
    best = most_faithful(scores)
    chance = _means([result for results in by_method.values() for result in results]).get("random_score")
    # Where the prediction stays the same whatever is taken away, no map is more faithful than another.
    return best if chance is None or scores[best] > chance + ALIKE else None


def _score(results: Sequence[MethodResult]) -> float | None:
    """The mean over the images; None for a method without a single map."""
    known = [result.score for result in results if result.score is not None]
    return sum(known) / len(known) if known and not all(result.refused for result in results) else None
