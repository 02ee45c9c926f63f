"""`convscope explain`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter

from convscope.commands.output import console, predictions_table, write_json
from convscope.core.errors import Failure, UserError

if TYPE_CHECKING:
    from convscope.explanation.results import Explanation

LISTED = 20
"""Predictions that are printed; all of them are in explanation.json."""

Shown: TypeAlias = Literal["filters", "maps", "channels", "receptive-field", "embedding", "units", "field"]
# Scripts with the old names still run.
OLD_VIEWS: dict[str | None, Shown] = {"units": "channels", "field": "receptive-field"}


@Parameter(name="*")
@dataclass(frozen=True)
class ExplainOptions:
    """The options of `convscope explain`."""

    method: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A method, several with commas, auto for the one that is most faithful on this network, or all. Left
    out: four.
    """

    class_: Annotated[str | None, Parameter(name="--class")] = None
    """The class to explain. Left out: the predicted one of each image."""

    layer: str | None = None
    """The layer for class activation. Left out: the last that has more than one position."""

    show: Shown | None = None
    """Show what the network learned: filters, maps, what activates a channel, what a position sees, where
    images lie. (units and field are the old words for channels and receptive-field.)
    """

    channel: str | None = None
    """With --show maps a layer; with channels a class or LAYER:NUMBER; with embedding pca, tsne or umap."""

    unit: Annotated[str | None, Parameter(show=False)] = None
    """The old word for --channel."""

    data: str | None = None
    """With --show: use these images instead of those of the run."""

    model: str | None = None
    """FILE.py:CLASS, for a custom model."""

    out: Path | None = None
    """Where the pictures go. Left out: explanation/ in the run folder."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print JSON instead of tables."""


def explain(run: Path, *images: Path, options: ExplainOptions = ExplainOptions()) -> None:
    """Look inside a network: why it predicts a class for an image, or, with --show, what it learned.

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
    # First, so that the checks below and their messages need the new names alone.
    options = _with_new_words(options)
    if options.show is not None:
        _show(run, images, options)
        return
    unused = _first_given({"--channel": options.channel, "--data": options.data})
    if unused:
        raise UserError(f"{unused} goes with --show; for heat maps name images after the run")
    if not images:
        raise UserError(
            f"no image was given; for heat maps name files or folders: explain {run} a.jpg folder/; "
            f"for what the network learned: explain {run} --show filters "
            "(or maps, channels, receptive-field, embedding)"
        )
    from convscope.commands.terminal import Terminal

    # After the checks: a mistake in the options need not wait 0.3 s for this import.
    from convscope.explanation.explain import explain as explain_run

    with Terminal(quiet=options.json) as terminal:
        result = explain_run(
            run,
            list(images),
            method=_methods(options.method),
            target=options.class_,
            layer=options.layer,
            model=options.model,
            out=options.out,
            progress=terminal.progress,
        )
    if options.json:
        write_json(result.to_dict())
    else:
        _print(result)
    # One unreadable file is a row of the table; if all are, scripts see it by the exit code.
    if not result.pictures:
        raise Failure(
            f"none of the {len(result.images)} files could be read as an image; the reasons stand above"
        )


def _methods(typed: tuple[str, ...]) -> list[str] | None:
    """The names that were typed, each after its own --method or several with commas; None for none at all."""
    # A variable that is empty in a script would otherwise run the four default methods.
    names = [name.strip() for text in typed for name in text.split(",") if name.strip()]
    if typed and not names:
        raise UserError("--method names no method; leave it out for four of them, or give names, auto or all")
    return names or None


def _show(run: Path, images: tuple[Path, ...], options: ExplainOptions) -> None:
    unused = _first_given({"--method": options.method, "--class": options.class_, "--layer": options.layer})
    if unused:
        raise UserError(
            f"{unused} is for heat maps of images and does not go with --show; "
            "a layer or channel is --channel"
        )
    from convscope.commands.terminal import Terminal
    from convscope.explanation.feature_visualisation.views import show

    with Terminal(quiet=options.json) as terminal:
        result = show(
            run,
            # Never empty here, which the type checker cannot know.
            options.show or "",
            images=list(images),
            channel=options.channel,
            data=options.data,
            model=options.model,
            out=options.out,
            progress=terminal.progress,
        )
    if options.json:
        write_json(result.to_dict())
        return
    screen = console()
    for line in (*result.lines, *(f"picture: {path}" for path in result.pictures)):
        screen.print(line, soft_wrap=True)


def _with_new_words(options: ExplainOptions) -> ExplainOptions:
    """The options without the old words; a line on standard error says the new one of each."""
    if options.show in OLD_VIEWS:
        _say_new(f"--show {options.show}", f"--show {OLD_VIEWS[options.show]}")
        options = replace(options, show=OLD_VIEWS[options.show])
    if options.unit is not None:
        _say_new("--unit", "--channel")
        options = replace(options, channel=options.channel or options.unit, unit=None)
    return options


def _say_new(old: str, new: str) -> None:
    # Not standard output, which may be JSON.
    sys.stderr.write(f"{old} is now {new}\n")


def _first_given(values: dict[str, object]) -> str | None:
    # Not given is None, or () for an option that may be repeated.
    return next((option for option, value in values.items() if value), None)


def _print(result: Explanation) -> None:
    screen = console()
    screen.print(predictions_table(result.predictions[:LISTED]))
    if len(result.images) > LISTED:
        screen.print(f"… and {len(result.images) - LISTED:,} more, in explanation.json")
    if not result.pictures:
        return
    if result.choice is not None:
        screen.print(result.choice.line(), soft_wrap=True)
    screen.print(result.table())
    for line in result.refusals():
        screen.print(f"no map: {line}", soft_wrap=True)
    # A path for each of many pictures would push the table off the screen.
    where = result.pictures[0] if len(result.pictures) == 1 else result.folder
    screen.print(f"{'picture' if len(result.pictures) == 1 else 'pictures'}: {where}", soft_wrap=True)
