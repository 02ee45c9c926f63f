"""`convscope summary`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from convscope.commands.shown import console, write_json
from convscope.core.errors import UserError


def summary(
    model: str | None = None,
    *,
    input: str | None = None,
    classes: int | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Show a network layer by layer: output shape, parameters, multiply-accumulates, stride and receptive field.

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
    from convscope.core.config import parse_settings
    from convscope.models.pytorch.describe import summary as describe

    if model is None:
        _list(json)
        return
    shape = _shape(input) if input else None
    result = describe(model, shape, classes=classes, options=parse_settings(set_ or []))
    if json:
        write_json(result.to_dict())
    else:
        console().print(result.table())


def _shape(text: str) -> tuple[int, ...]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise UserError(f"--input {text!r} is no image shape; give channels × height × width, such as 3x32x32")
    return tuple(int(part) for part in parts)


def _list(json: bool) -> None:
    from rich.table import Table

    from convscope.models.pytorch.zoo import networks

    specs = [networks[name].spec for name in networks]
    if json:
        write_json([spec.to_dict() for spec in specs])
        return
    table = Table(box=None, header_style="bold")
    for column in ("network", "year", "designed for", "parameters", "idea, and options"):
        table.add_column(column, justify="right" if column == "parameters" else "left", no_wrap=column == "network")
    for spec in specs:
        count = f"{spec.parameters:,}" if spec.parameters else "–"
        idea = f"{spec.idea}\noptions: {', '.join(spec.options)}"
        table.add_row(spec.name, str(spec.year or "–"), "×".join(map(str, spec.input_shape)), count, idea)
    console().print(table)
