from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest

import small_data
from convscope import cli
from convscope.cli import main
from convscope.core.errors import Failure, UserError

START = [sys.executable, "-c", "import sys; from convscope.cli import main; sys.exit(main())"]


def app_that_raises(problem):
    return MagicMock(side_effect=problem)


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (UserError("bad\nname"), 2, "error: bad name\n"),
        (Failure("full"), 1, "error: full\n"),
        (KeyboardInterrupt(), 130, "error: stopped by Ctrl-C\n"),
        (
            ZeroDivisionError("x"),
            1,
            "error: ZeroDivisionError: x; this is a fault of convscope, see it with --debug\n",
        ),
    ],
)
def test_whatever_happens_is_one_line_and_a_code(monkeypatch, capsys, problem, code, line):
    monkeypatch.setattr(cli, "app", app_that_raises(problem))
    assert main(["train"]) == code
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("problem", [UserError("x"), ZeroDivisionError("x")])
def test_debug_shows_the_traceback_wherever_it_stands(monkeypatch, problem):
    monkeypatch.setattr(cli, "app", app_that_raises(problem))
    for arguments in (["--debug", "train"], ["train", "--debug"]):
        with pytest.raises(type(problem)):
            main(arguments)


def test_help_and_version(capsys):
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("convscope ")
    for arguments in (["--help"], *([verb, "--help"] for verb in cli.COMMANDS)):
        assert main(arguments) == 0
        assert "Usage: convscope" in capsys.readouterr().out


def _help(capsys, *arguments):
    main([*arguments, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_the_help_of_a_verb_is_its_whole_docstring(capsys):
    for verb, part in {
        "explain": "Deletion: how sure it stays",
        "labels": "Nothing is changed or deleted.",
        "compare": "Networks: parameters, accuracy and speed",
    }.items():
        text = _help(capsys, verb)
        assert part in text
        assert "default: ()" not in text and "default: False" not in text
    assert "[default: 40]" in _help(capsys, "labels")
    assert "Find images whose labels are probably wrong, by" in _help(capsys)


def test_every_verb_has_at_most_twelve_options(capsys):
    for verb in cli.COMMANDS:
        arguments = cli.app[verb].assemble_argument_collection()
        options = {a.name for a in arguments if a.name.startswith("--") and a.index is None}
        assert len(options) <= 12, (verb, options)


def environment(**more):
    return {k: v for k, v in os.environ.items() if k != "PYTHONIOENCODING"} | {"OMP_NUM_THREADS": "1"} | more


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error():
    for arguments in (["summary"], ["summary", "--json"]):
        with subprocess.Popen(
            [*START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as p:
            p.stdout.close()
            assert (p.wait(), p.stderr.read()) == (0, b"")


@pytest.mark.slow
def test_a_terminal_without_these_signs_gets_others():
    arguments = [*START, "summary", "small_cnn"]
    done = subprocess.run(
        arguments, capture_output=True, env=environment(PYTHONIOENCODING="ascii"), check=False
    )
    assert done.returncode == 0 and b"\\xd7" in done.stdout


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_the_run_goes_on(tmp_path):
    data = small_data.write_npz(tmp_path / "small_data.npz", train=600)
    out = tmp_path / "run"
    arguments = [
        *START,
        "train",
        str(data),
        "--out",
        str(out),
        "--epochs",
        "2000",
        "--set",
        "train.precision=float32",
    ]
    arguments += ["--model", "simple_cnn", "--set", "data.quarantine=none", "--set", "train.batch_size=64"]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        until = time.monotonic() + 60
        while not (out / "history.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=60)
    assert process.returncode == 130 and error == b"error: stopped by Ctrl-C\n"
    assert b"stopped with validation accuracy" in output
    assert (out / "bundle.safetensors").is_file() and not list(Path(out).glob(".*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_a_folder_that_cannot_be_written_is_one_line(capsys):
    assert main(["train", "--out", "/proc/nowhere/run"]) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "/proc/nowhere" in error and error.count("\n") == 1
