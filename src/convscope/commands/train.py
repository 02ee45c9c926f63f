"""`convscope train`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convscope.commands.output import current_names, program, write_out
from convscope.commands.terminal import Terminal

if TYPE_CHECKING:
    from convscope.core.config import RunConfig
    from convscope.training.finalise import Run


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """The options of `convscope train`."""

    model: str | None = None
    """A name from `convscope summary`, or FILE.py:CLASS for a network of your own. Left out, the data decide.
    """

    pretrained: str | None = None
    """Trained weights to start from: a network of `convscope summary`, torchvision:NAME, timm:NAME, a run or
    a file.
    """

    mode: Literal["probe", "finetune", "scratch", "head"] | None = None
    """With trained weights: learn a head on their features (probe), everything (finetune), or ignore them
    (scratch).
    """

    recipe: str | None = None
    """A named experiment whose settings are taken over; an unknown name lists them."""

    epochs: int | None = None
    """How often every training image is seen."""

    seed: int | None = None
    """Decides every random choice: the same seed gives the same weights on the same machine."""

    seeds: int = 1
    """Train that many runs, with this seed and those after it, and give mean ± standard deviation."""

    out: Path | None = None
    """The run folder. Left out: artifacts/ENGINE_MODEL_DATA, with -2, -3, … where that is taken."""

    resume: Annotated[bool, Parameter(negative="")] = False
    """Go on with the newest run of the same words, or start it where there is none."""

    config: Path | None = None
    """A TOML file with sections data, model, transfer, augment, train and decision."""

    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = ()
    """One setting, such as --set train.lr=0.05; may be given again and again."""

    check: Literal["lr", "overfit"] | None = None
    """Train nothing: look for a learning rate (lr), or see whether one batch can be memorised (overfit)."""


def train(data: str | None = None, *, options: TrainOptions = TrainOptions()) -> None:
    """Train a network, and end with a test accuracy, a run folder and the next command to type.

    Later words win: defaults, then the recipe, the configuration file, the options and at last --set.

    Parameters
    ----------
    data
        A name (fashion_mnist, mnist, cifar10, cifar100) or a path (class folders, CSV, IDX, NPZ, Parquet).
    options
        Everything else; each has its own help.
    """
    config = configuration(data, options)
    if options.check:
        from convscope.commands.check import run_check

        run_check(config, options.check, options.out)
    # Not > 1: 0 is a mistake, and not one run.
    elif options.seeds != 1:
        from convscope.experiments.repeat import repeat

        repeated = repeat(config, options.seeds, out=options.out, resume=options.resume, observer=Terminal())
        for run in repeated.runs:
            _result(run)
        # A mean over fewer seeds than asked for would be quoted as that of all.
        if len(repeated.runs) == options.seeds:
            accuracy = repeated.mean_std()
            write_out(
                f"\n{options.seeds} seeds: test accuracy {accuracy.mean:.2%} ± {accuracy.sd or 0:.2%} "
                "(mean ± standard deviation)"
            )
    else:
        from convscope.training.train import train_run

        _result(train_run(config, out=options.out, resume=options.resume, observer=Terminal()))


def configuration(data: str | None, options: TrainOptions) -> RunConfig:
    """Defaults, recipe, TOML file, options and `--set`, each over the one before."""
    from convscope.core.config import RunConfig
    from convscope.core.settings import parse_settings, read_toml
    from convscope.recipes import recipes

    config = RunConfig()
    if options.recipe:
        config = recipes[options.recipe].config
        # Before the training: it says how many minutes that takes.
        write_out(recipes[options.recipe].promise)
    asked: dict[str, dict[str, Any]] = {
        "data": {"source": data},
        "model": {"name": options.model},
        "transfer": {"pretrained": options.pretrained, "mode": options.mode},
        "train": {"epochs": options.epochs},
    }
    layers: tuple[dict[str, Any], ...] = (
        read_toml(options.config) if options.config else {},
        {section: _given(values) for section, values in asked.items()},
        _given({"seed": options.seed}),
        parse_settings(list(options.settings)),
    )
    for layer in layers:
        config = config.merge(current_names(layer))
    return config


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _result(run: Run) -> None:
    test, validation = run.metrics.test, run.metrics.validation
    if test is not None:
        write_out(
            f"\n{_figures(test)}\n"
            f"{_unknown(test.get('selective', {}))}"
            f"run folder    {run.folder}\n"
            # Quoted, since the line is there to be copied and a folder may have spaces.
            f"next          {program()} evaluate {shlex.quote(str(run.folder))}"
        )
    # A run that was stopped has not seen its test images.
    elif validation is not None:
        write_out(
            f"\nstopped with validation {_score(validation)}; run folder {run.folder}; "
            "go on with the same words and --resume"
        )
    if run.status == "interrupted":
        raise KeyboardInterrupt  # what was reached is kept; the exit code says that it is not all


def _figures(test: Mapping[str, Any]) -> str:
    """The figures of a test split in a line; of other tasks than classification every number."""
    if "top1" in test:
        return f"test {_score(test)}   macro-F1 {test['macro_f1']:.3f}   loss {test['loss']:.3f}"
    return "test " + "   ".join(
        f"{name} {value:.4g}" for name, value in test.items() if isinstance(value, float)
    )


def _score(figures: Mapping[str, Any]) -> str:
    if "top1" in figures:
        return f"accuracy {figures['top1']:.2%}"
    return next((f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, float)), "")


def _unknown(selective: Mapping[str, Any]) -> str:
    """The line about *unknown*; none where every answer stands, and for a run from before there was a
    threshold.

    >>> print(_unknown({"threshold": 0.61, "coverage": 0.95, "risk": 0.04}), end="")
    unknown       5.0% of the answers, the least sure; of the others 96.00% are right
    """
    if selective.get("threshold") is None:
        return ""
    # Without any prediction that is kept there is no risk to give.
    kept = "" if selective["risk"] is None else f"; of the others {1 - selective['risk']:.2%} are right"
    return f"unknown       {1 - selective['coverage']:.1%} of the answers, the least sure{kept}\n"
