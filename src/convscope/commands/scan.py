"""`convscope scan`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from convscope.commands.shown import console, write_json


def scan(data: str, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Look at images before any training. Nothing is changed or deleted; training leaves out what is harmful.

    Parameters
    ----------
    data
        A name or a path, as for train.
    json
        Print everything that was found as JSON; the table shows the first examples.
    """
    from convscope.data.scan import scan as look
    from convscope.data.scan_table import scan_table
    from convscope.training.progress import Display

    with Display(quiet=json) as display:
        report = look(data, progress=lambda done, total: display.work("scan", done, total))
    if json:
        write_json(report.to_dict())
    else:
        console().print(scan_table(report))
