"""`convscope scan`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from convscope.commands.output import console, write_json


def scan(data: str, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Look at images before any training. Nothing is changed or deleted; training leaves out what is harmful.

    Parameters
    ----------
    data
        A name or a path, as for train.
    json
        Print everything that was found as JSON; the table shows the first examples.
    """
    from convscope.core.run.display import Display
    from convscope.data.scanning.scan import scan_source
    from convscope.data.scanning.scan_table import scan_table
    from convscope.data.source import open_source

    with Display(quiet=json) as display:
        source = open_source(data, progress=lambda done, total: display.work("download", done, total))
        for note in source.notes:
            display.say(f"note: {note}")
        report = scan_source(source, progress=lambda done, total: display.work("scan", done, total))
    if json:
        write_json(report.to_dict())
    else:
        console().print(scan_table(report))
