"""Trains several networks on one data set under one budget, each as an ordinary run, and measures them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from convscope.core.config import ModelConfig, RunConfig
from convscope.core.errors import ShapeError, UserError
from convscope.core.provenance import command, hardware, now, versions
from convscope.core.resolved_config import ResolvedConfig
from convscope.core.run.folder import ARTIFACTS, run_name
from convscope.core.run.progress import Lines, Observer
from convscope.data.source import Source
from convscope.experiments.benchmark import (
    PICTURE_FILE,
    Benchmark,
    BenchmarkEntry,
    benchmark_folder,
    benchmark_key,
    write_report,
)
from convscope.experiments.benchmark_plot import benchmark_figure
from convscope.experiments.compare import MeanStd, compare
from convscope.experiments.measure import conditions, measure
from convscope.models.references import is_custom_model
from convscope.models.variants.registry import variants
from convscope.training.engine import training_engine
from convscope.training.prepare_run import ResolvedRun, resolve_run
from convscope.training.train import train_run


def benchmark_networks(
    models: Iterable[str],
    config: RunConfig | None = None,
    *,
    seeds: int = 1,
    out: Path | None = None,
    observer: Observer | None = None,
) -> Benchmark:
    """Train networks from scratch with the same settings and epochs, measure them, write table and chart.

    A benchmark of the same settings and data that is there already goes on: finished runs in it are not
    trained again. One of other settings is left alone, and the new one goes to `<out>-2`, ….

    What goes wrong with one network (its loss becomes NaN, the images are too small for it) is noted as its
    `problem`; Ctrl-C ends the benchmark with what was reached, and `interrupted` says so.

    Args:
        models: names of `convscope summary` or "my_net.py:Net", two or more.
        config: data and settings, which are resolved once and hold for all; its seed is the first one.
        seeds: how often each network is trained, 1 or more.
        out: the folder, else `artifacts/compare_<data>`.
        observer: is told how it goes.

    Raises:
        UserError: for wrong names and settings, before anything is trained.

    >>> config = RunConfig.from_dict({"train": {"epochs": 1}})
    >>> benchmark = benchmark_networks(["lenet5", "simple_cnn"], config)  # doctest: +SKIP
    >>> benchmark.entries[0].figures["test_accuracy"]  # doctest: +SKIP
    MeanStd(n=1, mean=0.836, sd=None)
    """
    named = list(dict.fromkeys(models))
    config, observer = config or RunConfig(), observer or Lines()
    _check_request(named, config, seeds)
    config = config.merge({"transfer": {"mode": "scratch"}})
    # Before any training: a mistake in the last name would show only after hours.
    _check_names(named, config)
    run, shared = _resolve_once(config, observer)
    _check_custom(named, run)
    source = run.source
    key = benchmark_key(shared, named, source.fingerprint())
    folder = benchmark_folder(out or ARTIFACTS / run_name("compare", source.name), key)
    benchmark = Benchmark(
        folder=folder,
        data=source.name,
        budget=_budget(run.config, seeds),
        key=key,
        speed=conditions(shared, run.config.height, run.config.width),
        origin={"command": command(), "date": now(), "hardware": hardware(), "versions": versions()},
        entries=tuple(
            BenchmarkEntry(name, model) for name, model in zip(short_names(named), named, strict=True)
        ),
    )
    return _run_entries(benchmark, shared, source, seeds=seeds, observer=observer)


def _run_entries(
    benchmark: Benchmark, shared: RunConfig, source: Source, *, seeds: int, observer: Observer
) -> Benchmark:
    """Train and measure the entries in their order; what is reached is on disk after every run."""
    # Before the first run: a later command finds the folder even after a kill.
    write_report(benchmark)
    try:
        for number, entry in enumerate(benchmark.entries, 1):
            observer.say(f"\n{entry.name} ({number} of {len(benchmark.entries)})")
            runs = _run_entry(entry, shared, source, folder=benchmark.folder, seeds=seeds, observer=observer)
            for newest in runs:
                benchmark = benchmark.with_entry(newest)
                write_report(benchmark)
    except KeyboardInterrupt:
        benchmark = replace(benchmark, interrupted=True)
    # Notes over all runs: the hardware may have changed between two sessions.
    folders = [folder for entry in benchmark.entries for folder in entry.folders]
    benchmark = replace(benchmark, notes=compare(folders).notes if folders else ())
    write_report(benchmark)
    title = f"{benchmark.data}: {benchmark.budget}"
    benchmark_figure(benchmark.entries, benchmark.folder / PICTURE_FILE, title=title)
    return benchmark


def _check_request(models: Sequence[str], config: RunConfig, seeds: int) -> None:
    """Raise UserError for what can be seen to be wrong before the data is opened."""
    if len(models) < 2:
        raise UserError(
            f"{len(models)} network was named; give two or more, such as: compare lenet5 small_cnn --data "
            "fashion_mnist"
        )
    if seeds < 1:
        raise UserError(f"--seeds {seeds} was given; give 1 or more")
    if config.model.name or config.model.options:
        raise UserError(
            "model.name or model.options was given; networks are compared as they are, by their names"
        )
    # A network with trained weights would have had a larger budget than one without.
    if config.transfer.pretrained or config.transfer.mode not in (None, "scratch"):
        raise UserError(
            "trained weights were asked for, and networks are compared from scratch; train a run with each, "
            "and then compare the runs without --data"
        )


def _check_names(models: Sequence[str], config: RunConfig) -> None:
    """Raise UserError for a network that the engine does not have, before an hour of training another one."""
    engine = training_engine(config.engine)
    for model in models:
        custom = is_custom_model(model)
        # A path that exists is most likely a run folder.
        if not custom and model not in variants and Path(model).exists():
            raise UserError(
                f"{model} is no network; leave --data out to set runs side by side, or name networks"
            )
        engine.initialise(replace(config, model=ModelConfig(model)), photographs=False, custom=custom)


def _resolve_once(config: RunConfig, observer: Observer) -> tuple[ResolvedRun, RunConfig]:
    """What the data decide, and the configuration that all networks share, apart from their names.

    The learning rate stays open unless it is given: each network is trained at the one that its spec names.
    """
    run = resolve_run(config, observer=observer)
    shared = RunConfig.from_dict(run.config.to_dict())
    return run, shared.merge({"train": {"lr": config.train.lr}})


def _check_custom(models: Sequence[str], run: ResolvedRun) -> None:
    """Run the files of custom models, and raise UserError for a wrong file or class."""
    for model in filter(is_custom_model, models):
        # What does not fit the images is the problem of one entry, and shows in its row.
        with suppress(ShapeError):
            run.engine.build(replace(run.spec, name=model, options={}), run.initialisation, model)


def short_names(models: Sequence[str]) -> list[str]:
    """The names of networks for people: files without their folder, unless two would have the same name.

    >>> short_names(["lenet5", "nets/a.py:Net"]), short_names(["x/a.py:Net", "y/a.py:Net"])
    (['lenet5', 'a.py:Net'], ['x/a.py:Net', 'y/a.py:Net'])
    """
    short = [Path(model).name for model in models]
    return short if len(set(short)) == len(models) else list(models)


def _run_entry(
    entry: BenchmarkEntry, shared: RunConfig, source: Source, *, folder: Path, seeds: int, observer: Observer
) -> Iterator[BenchmarkEntry]:
    """The entry after each of its runs, measured once; where one goes wrong, with the problem."""
    config = replace(shared, model=ModelConfig(entry.model))
    base = folder / run_name(shared.engine, entry.name, source.name)
    measured: dict[str, MeanStd] = {}
    try:
        for number in range(seeds):
            seeded = replace(config, seed=config.seed + number)
            run = train_run(seeded, out=base, resume=True, series=True, observer=observer)
            # Ctrl-C ends one run in good order; without this the next seed would start.
            if run.status == "interrupted":
                raise KeyboardInterrupt
            # Neither work nor throughput depends on the seed, so that one measurement is enough.
            measured = measured or measure(run.folder, seeded, source, observer=observer)
            folders = (*entry.folders, run.folder)
            # The first group is the only one: the runs differ in the seed alone.
            figures = {**compare(folders).groups[0].figures, **measured}
            entry = replace(entry, folders=folders, figures=figures)
            yield entry
    except Exception as problem:
        # What the code of one network raises must not cost the others their turn. A wrong setting would stop
        # every network; a wrong image size concerns this one alone.
        if isinstance(problem, UserError) and not isinstance(problem, ShapeError):
            raise
        # The first line alone: errors of torch may have many, and the report has room for one.
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        observer.say(f"{entry.name} failed: {reason}")
        yield replace(entry, problem=reason)


def _budget(config: ResolvedConfig, seeds: int) -> str:
    def several(count: int | None, what: str) -> str:
        return f"{count} {what}{'s' * (count != 1)}"

    epochs = several(config.train.epochs, "epoch")
    shape = f"{config.height}×{config.width}×{config.data.channels}"
    return f"{shape}, {epochs} from scratch, {several(seeds, 'seed')}"
