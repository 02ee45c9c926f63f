"""What is left of the accuracy when images get worse, and when somebody wants a mistake."""

from __future__ import annotations

from functools import partial
from typing import Any

from convscope.core.errors import ConvscopeError
from convscope.core.seeds import generator
from convscope.evaluation.robustness.measure import affordable
from convscope.evaluation.robustness.plot import robustness_figure
from convscope.explanation.pytorch.attacks import accuracy_under_attack
from convscope.report.evidence import Evidence
from convscope.report.section import LeftOut
from convscope.report.svg import inline_svg

ATTACKED = 200
"""Images that are attacked, of photographs a fifth: each costs eleven passes forward and back for every
strength.
"""


def robustness(evidence: Evidence) -> dict[str, Any]:
    """Accuracy under eight corruptions at five strengths, and under FGSM and PGD."""
    found = evidence.evaluation.robustness
    if found is None:
        raise LeftOut("Robustness was not measured.")
    words = "Accuracy under eight corruptions of five strengths"
    return {
        "found": found,
        "figure": inline_svg("robustness", words, lambda: robustness_figure(found)),
        "words": words,
        "attacks": _attacks(evidence),
    }


def _attacks(evidence: Evidence) -> dict[str, Any]:
    height, width, _ = evidence.run.explained_model.preprocess.shape
    order = generator(evidence.bundle.seed, "attacked").permutation(len(evidence.labels))[
        : affordable(ATTACKED, height, width)
    ]
    try:
        found = accuracy_under_attack(
            evidence.explained_model,
            evidence.images(order),
            evidence.labels[order],
            tell=partial(evidence.tell, "attack"),
        )
    except ConvscopeError as reason:
        return {"reason": str(reason)}
    none, *attacked = found.rows
    rows: dict[str, list[float]] = {}
    for row in attacked:
        rows.setdefault(row.attack, [none.accuracy]).append(row.accuracy)
    levels = [0, *dict.fromkeys(row.epsilon for row in attacked)]
    return {"reason": None, "rows": rows, "levels": levels, "images": none.images}
