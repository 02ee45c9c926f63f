"""How far a heat map may be believed: the numbers that stand beside it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.explanation.attribute import Attribution
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.faithfulness.insertion_deletion import (
    STEPS,
    PerturbationSet,
    deletion,
    insertion,
    pixel_order,
    random_order,
)
from convscope.explanation.faithfulness.road import road
from convscope.explanation.faithfulness.sanity import reinitialised, sanity

Column = NDArray[np.float64]
LARGE, FEW_STEPS = 96 * 96, 10
"""Images of more pixels get fewer steps: each step is a pass through the network."""


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Of one method, for each of N images; NaN where there is no map, or the measure does not apply.

    Attributes:
        deletion: the area under the probability of the explained class while the most important pixels go
            first, 0 to 1; low is good.
        insertion: the same while they come back first; high is good.
        random_deletion: that of an order by chance.
        random_insertion: that of an order by chance.
        road: what removing unimportant pixels leaves more of than removing important ones, −0.5 to 0.5; high
            is good, chance is 0.
        sanity: rank correlation with the map of the network before training, −1 to 1; near 0 is good.
    """

    deletion: Column
    insertion: Column
    random_deletion: Column
    random_insertion: Column
    road: Column
    sanity: Column

    @property
    def score(self) -> Column:
        """Insertion − deletion of each image: the one number by which methods are set in order."""
        return self.insertion - self.deletion

    @property
    def random_score(self) -> Column:
        """What an order by chance has for `score`."""
        return self.random_insertion - self.random_deletion

    def of(self, image: int) -> dict[str, float | None]:
        """The numbers of one image, with None for NaN."""
        return {name: _number(column[image]) for name, column in self._columns().items()}

    def mean(self) -> dict[str, float | None]:
        """The means over the images that have a number, None where none has.

        >>> one, none = np.array([0.5, np.nan]), np.array([np.nan, np.nan])
        >>> Faithfulness(one, one, one, one, one, none).mean()["road"]
        0.5
        """
        return {name: _mean(column) for name, column in self._columns().items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: the means, and below `images` the numbers of each."""
        count = len(self.deletion)
        return {**self.mean(), "images": [self.of(image) for image in range(count)]}

    def _columns(self) -> dict[str, Column]:
        every: dict[str, Column] = {field.name: getattr(self, field.name) for field in fields(self)}
        return every | {"score": self.score, "random_score": self.random_score}


class Measure:
    """Measures methods on one set of images: what does not depend on the method is computed once.

    Args:
        model: the network.
        images: prepared, uint8 N×H×W×C.
        targets: the classes that are explained, N.
        decision: how logits become probabilities.
    """

    def __init__(
        self,
        model: ExplainedModel,
        images: NDArray[np.uint8],
        targets: NDArray[np.int64],
        *,
        decision: Decision,
    ) -> None:
        self.perturbations = PerturbationSet(model.predictor, images, targets, decision)
        self.reinitialised_model = reinitialised(model)
        self.steps = steps_for(images.shape)
        # Both areas depend on how easy the image is, so a method is read against an order by chance.
        chance = random_order(images)
        self.random_deletion = deletion(self.perturbations, chance, steps=self.steps).area
        self.random_insertion = insertion(self.perturbations, chance, steps=self.steps).area

    def __call__(self, attribution: Attribution) -> Faithfulness:
        """The numbers of one method for the images; `attribution` explains the same targets."""
        shown = np.array([reason is None for reason in attribution.refused], dtype=np.bool_)
        # Refused images have no map to measure, and would cost as many passes as the others.
        some, order = self.perturbations[shown], pixel_order(attribution.heat_maps[shown])
        found = {
            "deletion": deletion(some, order, steps=self.steps).area,
            "insertion": insertion(some, order, steps=self.steps).area,
            "road": road(some, order),
        }
        # NaN and not 0, which would be a number like others in a mean.
        columns = {name: np.full(len(shown), np.nan) for name in found}
        for name, values in found.items():
            columns[name][shown] = values
        return Faithfulness(
            **columns,
            random_deletion=self.random_deletion,
            random_insertion=self.random_insertion,
            sanity=sanity(attribution, self.perturbations.images, self.reinitialised_model),
        )


def steps_for(shape: tuple[int, ...]) -> int:
    """How many steps deletion and insertion take for images of `shape` N×H×W×C.

    >>> steps_for((1, 28, 28, 1)), steps_for((1, 224, 224, 3))
    (20, 10)
    """
    return STEPS if shape[1] * shape[2] <= LARGE else FEW_STEPS


def _mean(column: Column) -> float | None:
    known = column[np.isfinite(column)]
    return float(known.mean()) if len(known) else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
