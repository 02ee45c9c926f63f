"""`convscope train`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convscope.commands.output import program, write_out

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
    """Train nothing: look for a learning rate (lr), or see whether one batch can be learnt by heart
    (overfit).
    """


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
    elif options.seeds != 1:
        from convscope.experiments.repeat import repeat

        repeated = repeat(config, options.seeds, out=options.out, resume=options.resume)
        for run in repeated.runs:
            _result(run)
        if len(repeated.runs) == options.seeds:
            mean, deviation = repeated.spread()
            write_out(
                f"\n{options.seeds} seeds: test accuracy {mean:.2%} ± {deviation:.2%} (mean ± standard "
                f"deviation)"
            )
    else:
        from convscope.training.train import train_run

        _result(train_run(config, out=options.out, resume=options.resume))


def configuration(data: str | None, options: TrainOptions) -> RunConfig:
    """Defaults, recipe, TOML file, options and `--set`, each over the one before."""
    from convscope.core.config import RunConfig, parse_settings, read_toml
    from convscope.recipes import recipes

    config = RunConfig()
    if options.recipe:
        config = recipes[options.recipe].config
        write_out(recipes[options.recipe].promise)
    config = config.merge(read_toml(options.config) if options.config else {})
    words = {
        "data.source": data,
        "model.name": options.model,
        "transfer.pretrained": options.pretrained,
        "transfer.mode": options.mode,
        "train.epochs": options.epochs,
        "seed": options.seed,
    }
    for key, value in words.items():
        if value is not None:
            section, _, name = key.rpartition(".")
            config = config.merge({section: {name: value}} if section else {name: value})
    return config.merge(parse_settings(list(options.settings)))


def _result(run: Run) -> None:
    words = program()
    if "test" in run.metrics:
        test = run.metrics["test"]
        write_out(
            f"\ntest accuracy {test['top1']:.2%}   macro-F1 {test['macro_f1']:.3f}   loss "
            f"{test['loss']:.3f}\n"
            f"{_unknown(test.get('selective', {}))}"
            f"run folder    {run.folder}\n"
            f"next          {words} evaluate {shlex.quote(str(run.folder))}"
        )
    elif "validation" in run.metrics:
        write_out(
            f"\nstopped with validation accuracy {run.metrics['validation']['top1']:.2%}; run folder "
            f"{run.folder}; "
            "go on with the same words and --resume"
        )
    if run.status == "interrupted":
        raise KeyboardInterrupt  # what was reached is kept; the exit code says that it is not all


def _unknown(selective: dict[str, Any]) -> str:
    """The line about *unknown*; none where every answer stands, and for a run from before there was a
    threshold.

    >>> print(_unknown({"threshold": 0.61, "coverage": 0.95, "risk": 0.04}), end="")
    unknown       5.0% of the answers, the least sure; of the others 96.00% are right
    """
    if selective.get("threshold") is None:
        return ""
    kept = "" if selective["risk"] is None else f"; of the others {1 - selective['risk']:.2%} are right"
    return f"unknown       {1 - selective['coverage']:.1%} of the answers, the least sure{kept}\n"
