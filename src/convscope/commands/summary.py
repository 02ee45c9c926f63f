"""`convscope summary`."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

from cyclopts import Parameter

from convscope.commands.output import console, write_json
from convscope.core.errors import UserError
from convscope.models.spec import ModelSpec
from convscope.models.spec_text import facts, short_count, short_paper


def summary(
    model: str | None = None,
    *,
    input: str | None = None,
    classes: int | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Show a network layer by layer: output shape, parameters, multiply-accumulates, stride and receptive
    field.

    Below the layers stands what is known of a network of the list: its paper and the figures there, and where
    ours is another.

    Parameters
    ----------
    model
        A name, FILE.py:CLASS, or a run folder. Left out, all networks are listed.
    input
        Channels × height × width, such as 3x32x32.
    classes
        How many classes.
    set_
        An option of the network, such as --set widths=[16,32].
    json
        Print JSON instead of a table.
    """
    from convscope.core.settings import parse_settings
    from convscope.models.describe import summary as describe

    if model is None:
        _list(json)
        return
    shape = _shape(input) if input else None
    result = describe(model, shape, classes=classes, options=parse_settings(set_ or []))
    if json:
        write_json(result.to_dict())
    else:
        console().print(result.table())
        _facts(model, result.name)


def _shape(text: str) -> tuple[int, ...]:
    # With × too: shapes are shown that way, and are copied from there.
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise UserError(
            f"--input {text!r} is no image shape; give channels × height × width, such as 3x32x32"
        )
    return tuple(int(part) for part in parts)


def _list(json: bool) -> None:
    from convscope.models.spec_text import format_shape
    from convscope.models.variants.registry import variants

    specs = [variants[name].spec for name in variants]
    if json:
        write_json([spec.to_dict() for spec in specs])
        return
    screen = console()
    screen.print(
        f"{len(specs)} networks in the form that each was designed in. MACs: multiplications for one image. "
        "Sees: pixels a side that a value of the last map depends on. All about one: convscope summary NAME\n"
    )
    screen.print(f"  {_line('network', 'image', 'parameters', 'MACs', 'sees')}", style="bold")
    # The list is in the order of ideas, so that neighbours fall together.
    for heading, group in groupby(specs, key=_heading):
        screen.print(heading)
        for spec in group:
            count = f"{spec.parameters:,}" if spec.parameters else "–"
            sees = f"{spec.receptive_field} px" if spec.receptive_field else "–"
            line = _line(spec.name, format_shape(spec.input_shape), count, short_count(spec.macs), sees)
            screen.print(f"  {line}", style="bold")


def _heading(spec: ModelSpec) -> str:
    paper = short_paper(spec)
    return f"{spec.idea} ({paper})" if paper else spec.idea


def _line(name: str, image: str, *figures: str) -> str:
    # 20 + 11 + 3 · 12 characters: a line fits into a terminal of 80.
    return f"{name:<20}{image:<11}" + "".join(f"{figure:>12}" for figure in figures)


def _facts(model: str, name: str) -> None:
    """What is known of a network of the list beside its layers; a file of one's own may use the same name."""
    from rich.table import Table

    from convscope.models.references import is_custom_model
    from convscope.models.variants.registry import variants

    # The class of a file may be called lenet5.
    if name not in variants or is_custom_model(model):
        return
    table = Table(box=None, show_header=False)
    for heading, text in facts(variants[name].spec):
        table.add_row(heading, text)
    console().print(table)
