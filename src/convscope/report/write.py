"""The verb: everything about a run on one page of HTML that needs no server, no network and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convscope.core.atomic import write_text
from convscope.core.errors import ConvscopeError
from convscope.core.run.progress import Progress
from convscope.evaluation.evaluate import Evaluation, evaluate
from convscope.explanation.explained_model import ExplainedRun
from convscope.inference.load import Model
from convscope.report.evidence import Evidence
from convscope.report.network_sections import feature_visualisation, robustness
from convscope.report.run_sections import data as data_section
from convscope.report.run_sections import network, provenance, training
from convscope.tasks.section import LeftOut, Section

REPORT_FILE = "report.html"
PACKAGE = "convscope.report"
GENERAL = (
    Section("robustness", "How robust it is", robustness),
    Section("feature_visualisation", "What it learned", feature_visualisation),
    Section("training", "How it was trained", training),
    Section("network", "The network", network),
    Section("data", "The data", data_section),
    Section("provenance", "Where this comes from", provenance),
)
"""The sections that every task has, in their order on the page."""


@dataclass(frozen=True)
class Report:
    """A page on disk, and the evaluation that it shows."""

    path: Path
    evaluation: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"report": str(self.path)} | self.evaluation.to_dict()


def write_report(
    run: str | Path,
    data: str | Path | None = None,
    *,
    split: str = "test",
    model: Model = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Evaluate a run and write `<split>_report.html` beside the other files of the evaluation.

    Arguments and errors are those of `evaluate`.

    >>> write_report("artifacts/torch_small_cnn_fashion_mnist").path  # doctest: +SKIP
    PosixPath('artifacts/torch_small_cnn_fashion_mnist/evaluation/test_report.html')
    """
    # Robustness is part of every report, and its figures are in the same JSON.
    evaluation = evaluate(run, data, split=split, model=model, out=out, robustness=True, progress=progress)
    evidence = Evidence(evaluation, ExplainedRun.of(evaluation.run))
    title = f"{evidence.bundle.model['name']} on {evaluation.data}"
    path = evaluation.folder / f"{evaluation.split}_{REPORT_FILE}"
    write_text(path, page(evidence, contents(evaluation.result.sections()), title=title))
    return Report(path, evaluation)


def contents(own: Sequence[Section]) -> tuple[Section, ...]:
    """The sections of a task, each in the place that it asks for among the general ones.

    >>> [section.name for section in contents([Section("colours", "Colours", dict, after="network")])][2:5]
    ['training', 'network', 'colours']
    """
    sections = [section for section in own if section.after is None]
    # Those of the task come first: they are what a page is opened for.
    for general in GENERAL:
        sections += [general, *(section for section in own if section.after == general.name)]
    return tuple(sections)


def page(evidence: Evidence, sections: Sequence[Section], *, title: str) -> str:
    """The report as HTML. A section that cannot be made says why, and the others stand all the same.

    Everything that people named (classes, files, commands) is escaped by the templates.

    Args:
        evidence: what the general sections are filled with, and what a task's own ones draw with.
        sections: in their order on the page.
        title: the heading of the page.
    """
    shown = []
    for number, section in enumerate(sections):
        evidence.progress(f"report: {section.title.lower()}", number, len(sections))
        # One a section, so that two packages may use the same name for a template.
        environment = _environment(section.package)
        try:
            body = environment.get_template(f"{section.name}.html").render(section.fill(evidence))
        except (LeftOut, ConvscopeError) as reason:
            body = environment.get_template("left_out.html").render(reason=str(reason))
        shown.append({"name": section.name, "title": section.title, "body": body})
    evidence.progress("report", len(sections), len(sections))
    html: str = _environment(PACKAGE).get_template("page.html").render(title=title, sections=shown)
    return html


def _environment(package: str) -> Any:
    """The templates of a package, and those of the report, whose macros they use."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, PACKAGE))]),
        autoescape=True,
        undefined=StrictUndefined,  # a value that is missing is a fault, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["images"] = lambda number: f"{number:,}\xa0image{'s' * (number != 1)}"
    environment.filters["figure"] = lambda number, digits=3: "–" if number is None else f"{number:.{digits}f}"
    return environment


def _percent(fraction: float | None, digits: int = 1) -> str:
    return "–" if fraction is None else f"{100 * fraction:.{digits}f}\xa0%"
