"""`convscope compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from convscope.commands.output import console, current_names, write_json
from convscope.core.errors import Failure, UserError

if TYPE_CHECKING:
    from convscope.experiments.benchmark import Benchmark


def compare(
    *names: str,
    data: str | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    out: Path | None = None,
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Set runs side by side, or, with --data, train networks on one data set under one budget and compare
    those.

    Runs: their figures, and the settings in which they differ. Runs that differ in the seed alone are one
    row, with mean ± standard deviation.

    Networks: parameters, accuracy and speed go into a table, comparison.json and comparison.png; the exit
    code is 1 where one of them failed.

    Parameters
    ----------
    names
        Two run folders or more; with --data, two networks or more: names from `convscope summary`, or
        FILE.py:CLASS.
    data
        Train the networks on this, from scratch and with the same settings, and measure parameters, accuracy
        and speed: a name (fashion_mnist, mnist, cifar10, cifar100) or a path (class folders, CSV, IDX, NPZ,
        Parquet). The same command again goes on where it was stopped, and trains nothing that is finished.
    epochs
        How often each network sees every training image.
    seeds
        Train each network that often, and give mean ± standard deviation.
    out
        The folder for all of it. Left out: artifacts/compare_DATA, with -2, -3, … where other settings took
        that.
    settings
        One setting that holds for all networks, such as --set train.lr=0.05; may be given again and again.
    json
        Print JSON instead of a table.
    """
    if data is None:
        # A setting that is dropped in silence is taken for one that has no effect.
        options = {"--epochs": epochs, "--seeds": seeds, "--out": out, "--set": settings or None}
        idle = [option for option, value in options.items() if value is not None]
        if idle:
            raise UserError(
                f"{idle[0]} is for training; say on what with --data, or leave it out to set runs side by "
                "side"
            )
        _set_side_by_side(names, json)
    else:
        from convscope.commands.terminal import Terminal
        from convscope.core.config import RunConfig
        from convscope.core.settings import parse_settings
        from convscope.experiments.benchmark_run import benchmark_networks

        config = RunConfig().merge({"data": {"source": data}, "train": {"epochs": epochs}})
        config = config.merge(current_names(parse_settings(list(settings))))
        benchmark = benchmark_networks(
            # None is the default, and not 1, so that --seeds without --data is noticed.
            names,
            config,
            seeds=1 if seeds is None else seeds,
            out=out,
            observer=Terminal(quiet=json),
        )
        _show(benchmark, json)


def _set_side_by_side(names: tuple[str, ...], json: bool) -> None:
    from convscope.experiments.compare import compare as compare_runs

    try:
        comparison = compare_runs(names)
    except UserError as problem:
        # Who names networks where runs belong has forgotten --data.
        if any(_is_network(name) for name in names):
            raise UserError(
                f"{problem}; to train networks and compare them, say on what: --data fashion_mnist"
            ) from None
        raise
    if json:
        write_json(comparison.to_dict())
    else:
        console().print(comparison.table())


def _is_network(name: str) -> bool:
    from convscope.models.references import is_custom_model
    from convscope.models.variants.registry import variants

    return name in variants or is_custom_model(name)


def _show(benchmark: Benchmark, json: bool) -> None:
    """The table, and an exit code that says whether every network came to its end."""
    from convscope.experiments.benchmark import PICTURE_FILE

    if json:
        write_json(benchmark.to_dict())
    else:
        screen = console()
        screen.print()
        screen.print(benchmark.table())
        for remark in ("", *benchmark.remarks, f"picture: {benchmark.folder / PICTURE_FILE}"):
            # A path that is broken at the width of the terminal cannot be copied.
            screen.print(remark, soft_wrap=True)
        if benchmark.interrupted:
            screen.print("stopped; the same command goes on from here", soft_wrap=True)
    # The exit code says that it is not all.
    if benchmark.interrupted:
        raise KeyboardInterrupt
    # After the table: one failed network does not hide the results of the others.
    if benchmark.failed:
        names = ", ".join(entry.name for entry in benchmark.failed)
        failed = f"{len(benchmark.failed)} of {len(benchmark.entries)} networks failed: {names}"
        raise Failure(f"{failed}; the others are kept")
