"""`convscope compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convscope.commands.shown import console, write_json


def compare(*runs: Path, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Set runs side by side: figures, and the settings in which they differ. Runs that differ in the seed alone are
    one row, with mean ± standard deviation.

    Parameters
    ----------
    runs
        Two run folders or more.
    json
        Print JSON instead of a table.
    """
    from convscope.evaluation.compare import compare as compare_runs

    comparison = compare_runs(runs)
    if json:
        write_json(comparison.to_dict())
    else:
        console().print(comparison.table())
