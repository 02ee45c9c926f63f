"""Several networks on one data set under one budget: trained from scratch, then measured, each an ordinary run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from convscope.core.config import ModelConfig, RunConfig
from convscope.core.errors import ShapeError, UserError
from convscope.core.provenance import command, hardware, now, versions
from convscope.data.source import Source, open_source
from convscope.evaluation.compare import Spread, compare
from convscope.evaluation.contest import PICTURE_FILE, Contest, Entrant
from convscope.evaluation.contest_figure import contest_figure
from convscope.models.pytorch.device import choose_device
from convscope.models.pytorch.own_network import is_own_network, load_own_network
from convscope.models.pytorch.zoo import networks
from convscope.training.contest_folder import contest_folder, contest_key, write_report
from convscope.training.defaults import Choice, choose, settle
from convscope.training.measure import conditions, measure
from convscope.training.progress import Display
from convscope.training.run_folder import ARTIFACTS, run_name
from convscope.training.train import check_names, train_run


def compete(
    models: Iterable[str],
    config: RunConfig | None = None,
    *,
    seeds: int = 1,
    out: Path | None = None,
    display: Display | None = None,
) -> Contest:
    """Train each of `models` from scratch with the same settings and epochs, measure it, and write table and picture.

    `models`: names of `convscope summary` or "my_net.py:Net", two or more. `config`: data and settings, which are
    settled once and hold for all; its seed is the first of `seeds`. `out`: the folder for everything, else
    `artifacts/compare_<data>`. A contest of the same settings and data that is there already goes on: finished runs in
    it are not trained again. One of other settings is left alone, and the new one goes to `<out>-2`, ….

    What goes wrong with one network (its loss is no number, the images are too small for it) is noted as its
    `problem`; Ctrl-C ends the contest with what was reached, and `interrupted` says so. Raises UserError for wrong
    names and settings, before anything is trained.

    >>> contest = compete(["lenet5", "simple_cnn"], RunConfig().merge({"train": {"epochs": 1}}))  # doctest: +SKIP
    >>> contest.entrants[0].figures["test_accuracy"]  # doctest: +SKIP
    Spread(n=1, mean=0.836, sd=None)
    """
    words = list(dict.fromkeys(models))
    check_question(words, config := config or RunConfig(), seeds)
    display = display or Display()
    source, choice, shared = settle_once(config, display)
    check_own(words, choice, classes=len(source.open("train").classes))
    key = contest_key(shared, words, source.fingerprint())
    folder = contest_folder(out or ARTIFACTS / run_name("compare", source.name), key)
    contest = Contest(
        folder=folder,
        data=source.name,
        budget=_budget(shared, choice, seeds),
        key=key,
        speed=conditions(shared, choice.height, choice.width),
        origin={"command": command(), "date": now(), "hardware": hardware(), "versions": versions()},
        entrants=tuple(Entrant(name, model) for name, model in zip(short_names(words), words, strict=True)),
    )
    return run_contest(contest, shared, source, seeds=seeds, display=display)


def run_contest(contest: Contest, shared: RunConfig, source: Source, *, seeds: int, display: Display) -> Contest:
    """Train and measure the entrants in their order; what is reached is on disk after every run."""
    write_report(contest)
    try:
        for place, entrant in enumerate(contest.entrants, 1):
            display.say(f"\n{entrant.name} ({place} of {len(contest.entrants)})")
            for newest in _enter(entrant, shared, source, folder=contest.folder, seeds=seeds, display=display):
                contest = contest.with_entrant(newest)
                write_report(contest)
    except KeyboardInterrupt:
        display.clear()
        contest = replace(contest, interrupted=True)
    folders = [folder for entrant in contest.entrants for folder in entrant.folders]
    contest = replace(contest, notes=compare(folders).notes if folders else ())
    write_report(contest)
    contest_figure(contest.entrants, contest.folder / PICTURE_FILE, title=f"{contest.data}: {contest.budget}")
    return contest


def check_question(models: Sequence[str], config: RunConfig, seeds: int) -> None:
    """Raise UserError for what can be seen to be wrong before the data is opened."""
    if len(models) < 2:
        raise UserError(
            f"{len(models)} network was named; give two or more, such as: compare lenet5 small_cnn --data fashion_mnist"
        )
    if seeds < 1:
        raise UserError(f"--seeds {seeds} was given; give 1 or more")
    if config.model.name or config.model.options:
        raise UserError("model.name or model.options was given; networks are compared as they are, by their names")
    if config.transfer.pretrained or config.transfer.mode not in (None, "scratch"):
        raise UserError(
            "trained weights were asked for, and networks are compared from scratch; train a run with each, and then "
            "compare the runs without --data"
        )
    for model in models:
        if not is_own_network(model) and model not in networks and Path(model).exists():
            raise UserError(f"{model} is no network; leave --data out to set runs side by side, or name networks")
        check_names(replace(config, model=ModelConfig(model)))
    choose_device(config.train.device)


def settle_once(config: RunConfig, display: Display) -> tuple[Source, Choice, RunConfig]:
    """The data, what it decides, and the configuration that all networks share, apart from their names.

    The learning rate stays open unless it is given: each network is trained at the one that its spec names.
    """
    config = config.merge({"transfer": {"mode": "scratch"}})
    source = open_source(config.data.source, progress=lambda done, total: display.work("download", done, total))
    display.clear()
    choice = choose(config, source.open("train"))
    shared = settle(config, choice, source)
    return source, choice, shared.merge({"train": {"lr": config.train.lr}})


def check_own(models: Sequence[str], choice: Choice, *, classes: int) -> None:
    """Run the files of one's own networks: UserError for a wrong file or class. What does not fit is said later."""
    for model in filter(is_own_network, models):
        with suppress(ShapeError):
            load_own_network(model, input_shape=(choice.channels, choice.height, choice.width), classes=classes)


def short_names(models: Sequence[str]) -> list[str]:
    """What people call the networks: of a file the name without its folder, unless two would be called the same.

    >>> short_names(["lenet5", "nets/a.py:Net"]), short_names(["x/a.py:Net", "y/a.py:Net"])
    (['lenet5', 'a.py:Net'], ['x/a.py:Net', 'y/a.py:Net'])
    """
    short = [Path(model).name for model in models]
    return short if len(set(short)) == len(models) else list(models)


def _enter(
    entrant: Entrant, shared: RunConfig, source: Source, *, folder: Path, seeds: int, display: Display
) -> Iterator[Entrant]:
    """The entrant after each of its runs, measured once; where one goes wrong, with the problem."""
    config = replace(shared, model=ModelConfig(entrant.model))
    base = folder / run_name("torch", entrant.name, source.name)
    measured: dict[str, Spread] = {}
    try:
        for number in range(seeds):
            seeded = replace(config, seed=config.seed + number)
            run = train_run(seeded, out=base, resume=True, series=True, display=display)
            if run.ending == "interrupted":
                raise KeyboardInterrupt
            measured = measured or measure(run.folder, seeded, source, display=display)
            folders = (*entrant.folders, run.folder)
            figures = {**compare(folders).groups[0].figures, **measured}
            entrant = replace(entrant, folders=folders, figures=figures)
            yield entrant
    except Exception as problem:  # whatever the code of a network raises must not cost the others their turn
        if isinstance(problem, UserError) and not isinstance(problem, ShapeError):
            raise
        display.clear()
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        display.say(f"{entrant.name} failed: {reason}")
        yield replace(entrant, problem=reason)


def _budget(config: RunConfig, choice: Choice, seeds: int) -> str:
    def several(count: int | None, what: str) -> str:
        return f"{count} {what}{'s' * (count != 1)}"

    epochs = several(config.train.epochs, "epoch")
    shape = f"{choice.height}×{choice.width}×{choice.channels}"
    return f"{shape}, {epochs} from scratch, {several(seeds, 'seed')}"
