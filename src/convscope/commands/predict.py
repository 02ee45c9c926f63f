"""`convscope predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from convscope.commands.output import console, predictions_table, write_out


def predict(
    run: Path,
    *images: Path,
    top: int = 3,
    format: Literal["table", "json", "csv"] = "table",
    model: str | None = None,
) -> None:
    """Predict image files and for every image in folders.

    Parameters
    ----------
    run
        A run folder or a bundle file.
    images
        Files and folders.
    top
        How many answers for each image.
    format
        A table for people, JSON or CSV for programs.
    model
        FILE.py:CLASS, for a network of your own.
    """
    from convscope.core.errors import Failure, UserError
    from convscope.inference.load import load
    from convscope.inference.prediction import predictions_csv, predictions_json

    # Before the network is loaded: a mistake in the command line shows at once.
    if not images:
        raise UserError(
            f"no image was given; name files or folders after the run: predict {run} a.jpg folder/"
        )
    if top < 1:
        raise UserError(f"--top {top} was given; give 1 or more")
    predictions = load(run, model).classify(list(images), top=top)
    if format == "table":
        console().print(predictions_table(predictions, top=top))
    else:
        # Not through rich, which breaks long lines at the width of the terminal.
        write_out(predictions_json(predictions) if format == "json" else predictions_csv(predictions))
    # One unreadable file is a row; only when all are did the command fail.
    if all(prediction.error for prediction in predictions):
        raise Failure(f"none of the {len(predictions)} files got an answer; the reasons stand above")
