from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from convscope.commands.terminal import Screen, Terminal

ROW = {
    "epoch": 3,
    "train_loss": 0.1234,
    "train_accuracy": 0.5,
    "validation_accuracy": 0.987,
    "images_per_second": 12345.6,
    "best": True,
}
FIGURES = {"loss": 0.5, "accuracy": 0.9, "rate": 100.0}


def observer(*, terminal: bool):
    text = io.StringIO()
    return Terminal(console=Console(file=text, force_terminal=terminal, width=120, highlight=False)), text


def test_a_file_gets_one_line_an_epoch_and_no_live_line():
    shown, text = observer(terminal=False)
    with shown:
        shown.progress("scan", 1, 10)
        shown.step((0, 1), (5, 10), FIGURES)
        shown.epoch(ROW, 5)
    line = "epoch   3/5  loss 0.123  accuracy 50.00%  validation 98.70%    12,346 images/s  best\n"
    assert text.getvalue() == line


def test_a_terminal_gets_a_live_line_with_the_share_of_the_whole_run():
    shown, text = observer(terminal=True)
    with shown:
        shown.step((1, 5), (5, 10), FIGURES)
        shown._bar.refresh()
        assert shown._bar.tasks[0].percentage == 30
        shown.progress("test", 2, 4)
        assert shown._bar.tasks[0].percentage == 50
        assert len(shown._bar.tasks) == 1
        shown.progress("test", 4, 4)
        assert shown._bar is None, "what is done leaves no line behind"
        shown.progress("test", 2, 4)
    assert shown._bar is None
    assert "epoch 2/5" in text.getvalue() and "100 images/s" in text.getvalue()


def test_quiet_is_quiet(capsys):
    with Terminal(quiet=True) as shown:
        shown.say("x")
        shown.progress("scan", 1, 2)
        shown.epoch(ROW, 5)
    assert capsys.readouterr() == ("", "")


def test_brackets_in_names_are_text():
    shown, text = observer(terminal=False)
    shown.say("left out [red]x[/red].png and [/]")
    assert text.getvalue() == "left out [red]x[/red].png and [/]\n"


def test_an_error_takes_the_live_line_away():
    shown, _ = observer(terminal=True)
    with pytest.raises(ValueError, match="x"), shown:
        shown.progress("scan", 1, 2)
        raise ValueError("x")
    assert shown._bar is None


def test_a_reader_that_went_away_does_not_end_the_work(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        screen = Screen(file=pipe)
        for _ in range(3):
            screen.print("x")
        assert screen.quiet
