"""`convscope explain`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from convscope.commands.output import console, write_json
from convscope.core.errors import Failure, UserError

if TYPE_CHECKING:
    from convscope.explanation.results import Explanation

LISTED = 20
"""Answers that are printed; all of them are in explanation.json."""


@Parameter(name="*")
@dataclass(frozen=True)
class ExplainOptions:
    """The options of `convscope explain`."""

    method: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A method, several with commas, auto for the one that is most faithful on this network, or all. Left
    out: four.
    """

    class_: Annotated[str | None, Parameter(name="--class")] = None
    """The class to explain. Left out: the answer for each image."""

    layer: str | None = None
    """The layer that class activation looks at. Left out: the last that has more than one place."""

    show: Literal["filters", "maps", "units", "field", "embedding"] | None = None
    """Show what the network learned: filters, maps, what excites a unit, what a place sees, where images lie.
    """

    unit: str | None = None
    """With --show maps a layer; with units a class or LAYER:NUMBER; with embedding pca, tsne or umap."""

    data: str | None = None
    """With --show: look at these images instead of those of the run."""

    model: str | None = None
    """FILE.py:CLASS, for a network of your own."""

    out: Path | None = None
    """Where the pictures go. Left out: explanation/ in the run folder."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print JSON instead of tables."""


def explain(run: Path, *images: Path, options: ExplainOptions = ExplainOptions()) -> None:
    """Look inside a network: why it answers so for an image, or, with --show, what it learned.

    For each image a picture with a heat map of each method, and numbers that say how far to believe it.
    Insertion: how sure the network becomes as the pixels come back in the order of the map; high is good.
    Deletion: how sure it stays as they go; low is good. ROAD: the same without painted patches; above 0 is
    good. Untrained: how like the map is to that of the same network before it learned anything; near 0 is
    good. ★ marks the most faithful.

    Parameters
    ----------
    run
        A run folder or a bundle file.
    images
        Files and folders; with --show they may be left out.
    options
        Everything else; each has its own help.
    """
    if options.show is not None:
        _show(run, images, options)
        return
    idle = _first_given({"--unit": options.unit, "--data": options.data})
    if idle:
        raise UserError(f"{idle} goes with --show; for heat maps name images after the run")
    if not images:
        raise UserError(
            f"no image was given; for heat maps name files or folders: explain {run} a.jpg folder/; "
            f"for what the network learned: explain {run} --show filters (or maps, units, field, embedding)"
        )
    from convscope.core.run.display import Display
    from convscope.explanation.explain import explain as explain_run

    methods = [name.strip() for word in options.method for name in word.split(",") if name.strip()]
    if options.method and not methods:
        raise UserError("--method names no method; leave it out for four of them, or give names, auto or all")
    with Display(quiet=options.json) as display:
        result = explain_run(
            run,
            list(images),
            method=methods or None,
            target=options.class_,
            layer=options.layer,
            model=options.model,
            out=options.out,
            tell=display.work,
        )
    if options.json:
        write_json(result.to_dict())
    else:
        _print(result)
    if not result.pictures:
        raise Failure(
            f"none of the {len(result.images)} files could be read as an image; the reasons stand above"
        )


def _show(run: Path, images: tuple[Path, ...], options: ExplainOptions) -> None:
    idle = _first_given({"--method": options.method, "--class": options.class_, "--layer": options.layer})
    if idle:
        raise UserError(
            f"{idle} is for heat maps of images and does not go with --show; a layer or unit is --unit"
        )
    from convscope.core.run.display import Display
    from convscope.explanation.feature_visualisation.show import show

    with Display(quiet=options.json) as display:
        result = show(
            run,
            options.show or "",
            images=list(images),
            unit=options.unit,
            data=options.data,
            model=options.model,
            out=options.out,
            tell=display.work,
        )
    if options.json:
        write_json(result.to_dict())
        return
    screen = console()
    for line in (*result.lines, *(f"picture: {path}" for path in result.pictures)):
        screen.print(line, soft_wrap=True)


def _first_given(values: dict[str, object]) -> str | None:
    return next((option for option, value in values.items() if value), None)


def _print(result: Explanation) -> None:
    from convscope.inference.prediction_text import predictions_table

    screen = console()
    screen.print(predictions_table(result.answers[:LISTED]))
    if len(result.images) > LISTED:
        screen.print(f"… and {len(result.images) - LISTED:,} more, in explanation.json")
    if not result.pictures:
        return
    if result.choice is not None:
        screen.print(result.choice.line(), soft_wrap=True)
    screen.print(result.table())
    for line in result.refusals():
        screen.print(f"no map: {line}", soft_wrap=True)
    where = result.pictures[0] if len(result.pictures) == 1 else result.folder
    screen.print(f"{'picture' if len(result.pictures) == 1 else 'pictures'}: {where}", soft_wrap=True)
