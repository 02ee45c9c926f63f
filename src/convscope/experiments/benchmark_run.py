"""Several networks on one data set under one budget: trained from scratch, then measured, each an ordinary
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from convscope.core.config import ModelConfig, RunConfig
from convscope.core.errors import ShapeError, UserError
from convscope.core.provenance import command, hardware, now, versions
from convscope.core.run.display import Display
from convscope.core.run.folder import ARTIFACTS, run_name
from convscope.data.source import Source, open_source
from convscope.experiments.benchmark import PICTURE_FILE, Benchmark, BenchmarkEntry
from convscope.experiments.benchmark_folder import benchmark_folder, benchmark_key, write_report
from convscope.experiments.benchmark_plot import benchmark_figure
from convscope.experiments.compare import MeanStd, compare
from convscope.experiments.measure import conditions, measure
from convscope.models.pytorch.custom_model import is_custom_model, load_custom_model
from convscope.models.pytorch.device import choose_device
from convscope.models.pytorch.zoo import networks
from convscope.training.defaults import Defaults, choose_defaults, settle
from convscope.training.train import check_names, train_run


def benchmark_networks(
    models: Iterable[str],
    config: RunConfig | None = None,
    *,
    seeds: int = 1,
    out: Path | None = None,
    display: Display | None = None,
) -> Benchmark:
    """Train each of `models` from scratch with the same settings and epochs, measure it, and write table and
    picture.

    `models`: names of `convscope summary` or "my_net.py:Net", two or more. `config`: data and settings, which
    are settled once and hold for all; its seed is the first of `seeds`. `out`: the folder for everything,
    else `artifacts/compare_<data>`. A benchmark of the same settings and data that is there already goes on:
    finished runs in it are not trained again. One of other settings is left alone, and the new one goes to
    `<out>-2`, ….

    What goes wrong with one network (its loss is no number, the images are too small for it) is noted as its
    `problem`; Ctrl-C ends the benchmark with what was reached, and `interrupted` says so. Raises UserError
    for wrong names and settings, before anything is trained.

    >>> benchmark = benchmark_networks(["lenet5", "simple_cnn"], RunConfig().merge({"train": {"epochs": 1}}))  # doctest: +SKIP
    >>> benchmark.entries[0].figures["test_accuracy"]  # doctest: +SKIP
    MeanStd(n=1, mean=0.836, sd=None)
    """
    words = list(dict.fromkeys(models))
    check_question(words, config := config or RunConfig(), seeds)
    display = display or Display()
    source, choice, shared = settle_once(config, display)
    check_own(words, choice, classes=len(source.open("train").classes))
    key = benchmark_key(shared, words, source.fingerprint())
    folder = benchmark_folder(out or ARTIFACTS / run_name("compare", source.name), key)
    benchmark = Benchmark(
        folder=folder,
        data=source.name,
        budget=_budget(shared, choice, seeds),
        key=key,
        speed=conditions(shared, choice.height, choice.width),
        origin={"command": command(), "date": now(), "hardware": hardware(), "versions": versions()},
        entries=tuple(
            BenchmarkEntry(name, model) for name, model in zip(short_names(words), words, strict=True)
        ),
    )
    return run_entries(benchmark, shared, source, seeds=seeds, display=display)


def run_entries(
    benchmark: Benchmark, shared: RunConfig, source: Source, *, seeds: int, display: Display
) -> Benchmark:
    """Train and measure the entries in their order; what is reached is on disk after every run."""
    write_report(benchmark)
    try:
        for place, entry in enumerate(benchmark.entries, 1):
            display.say(f"\n{entry.name} ({place} of {len(benchmark.entries)})")
            for newest in _enter(
                entry, shared, source, folder=benchmark.folder, seeds=seeds, display=display
            ):
                benchmark = benchmark.with_entry(newest)
                write_report(benchmark)
    except KeyboardInterrupt:
        display.clear()
        benchmark = replace(benchmark, interrupted=True)
    folders = [folder for entry in benchmark.entries for folder in entry.folders]
    benchmark = replace(benchmark, notes=compare(folders).notes if folders else ())
    write_report(benchmark)
    benchmark_figure(
        benchmark.entries, benchmark.folder / PICTURE_FILE, title=f"{benchmark.data}: {benchmark.budget}"
    )
    return benchmark


def check_question(models: Sequence[str], config: RunConfig, seeds: int) -> None:
    """Raise UserError for what can be seen to be wrong before the data is opened."""
    if len(models) < 2:
        raise UserError(
            f"{len(models)} network was named; give two or more, such as: compare lenet5 small_cnn --data "
            f"fashion_mnist"
        )
    if seeds < 1:
        raise UserError(f"--seeds {seeds} was given; give 1 or more")
    if config.model.name or config.model.options:
        raise UserError(
            "model.name or model.options was given; networks are compared as they are, by their names"
        )
    if config.transfer.pretrained or config.transfer.mode not in (None, "scratch"):
        raise UserError(
            "trained weights were asked for, and networks are compared from scratch; train a run with each, "
            "and then "
            "compare the runs without --data"
        )
    for model in models:
        if not is_custom_model(model) and model not in networks and Path(model).exists():
            raise UserError(
                f"{model} is no network; leave --data out to set runs side by side, or name networks"
            )
        check_names(replace(config, model=ModelConfig(model)))
    choose_device(config.train.device)


def settle_once(config: RunConfig, display: Display) -> tuple[Source, Defaults, RunConfig]:
    """The data, what it decides, and the configuration that all networks share, apart from their names.

    The learning rate stays open unless it is given: each network is trained at the one that its spec names.
    """
    config = config.merge({"transfer": {"mode": "scratch"}})
    source = open_source(
        config.data.source, progress=lambda done, total: display.work("download", done, total)
    )
    display.clear()
    choice = choose_defaults(config, source.open("train"))
    shared = settle(config, choice, source)
    return source, choice, shared.merge({"train": {"lr": config.train.lr}})


def check_own(models: Sequence[str], choice: Defaults, *, classes: int) -> None:
    """Run the files of one's own networks: UserError for a wrong file or class. What does not fit is said
    later.
    """
    for model in filter(is_custom_model, models):
        with suppress(ShapeError):
            load_custom_model(
                model, input_shape=(choice.channels, choice.height, choice.width), classes=classes
            )


def short_names(models: Sequence[str]) -> list[str]:
    """What people call the networks: of a file the name without its folder, unless two would be called the
    same.

    >>> short_names(["lenet5", "nets/a.py:Net"]), short_names(["x/a.py:Net", "y/a.py:Net"])
    (['lenet5', 'a.py:Net'], ['x/a.py:Net', 'y/a.py:Net'])
    """
    short = [Path(model).name for model in models]
    return short if len(set(short)) == len(models) else list(models)


def _enter(
    entry: BenchmarkEntry, shared: RunConfig, source: Source, *, folder: Path, seeds: int, display: Display
) -> Iterator[BenchmarkEntry]:
    """The entry after each of its runs, measured once; where one goes wrong, with the problem."""
    config = replace(shared, model=ModelConfig(entry.model))
    base = folder / run_name("torch", entry.name, source.name)
    measured: dict[str, MeanStd] = {}
    try:
        for number in range(seeds):
            seeded = replace(config, seed=config.seed + number)
            run = train_run(seeded, out=base, resume=True, series=True, display=display)
            if run.status == "interrupted":
                raise KeyboardInterrupt
            measured = measured or measure(run.folder, seeded, source, display=display)
            folders = (*entry.folders, run.folder)
            figures = {**compare(folders).groups[0].figures, **measured}
            entry = replace(entry, folders=folders, figures=figures)
            yield entry
    except Exception as problem:  # whatever the code of a network raises must not cost the others their turn
        if isinstance(problem, UserError) and not isinstance(problem, ShapeError):
            raise
        display.clear()
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        display.say(f"{entry.name} failed: {reason}")
        yield replace(entry, problem=reason)


def _budget(config: RunConfig, choice: Defaults, seeds: int) -> str:
    def several(count: int | None, what: str) -> str:
        return f"{count} {what}{'s' * (count != 1)}"

    epochs = several(config.train.epochs, "epoch")
    shape = f"{choice.height}×{choice.width}×{choice.channels}"
    return f"{shape}, {epochs} from scratch, {several(seeds, 'seed')}"
