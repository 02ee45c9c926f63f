from __future__ import annotations

import io

import pytest

from convscope.core.run import progress as module
from convscope.core.run.progress import Lines, Silent, epoch_line

ROW = {
    "epoch": 3,
    "train_loss": 0.1234,
    "train_accuracy": 0.5,
    "validation_accuracy": 0.987,
    "images_per_second": 12345.6,
    "best": False,
}


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def everything(observer):
    with observer:
        observer.progress("scan", 1, 10)
        observer.progress("scan", 10, 10)
        observer.say("12 classes")
        observer.step((0, 1), (5, 10), {"loss": 0.5, "accuracy": 0.9, "rate": 100.0})
        observer.epoch(ROW, 5)
        observer.progress("test", 1, 2)


def test_a_file_gets_what_is_said_and_the_epochs(capsys):
    everything(Lines())
    assert capsys.readouterr().out == f"12 classes\n{epoch_line(ROW, 5)}\n"


def test_silence(capsys):
    everything(Silent())
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_live_line_that_is_gone_afterwards(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_FRAMES", 0.0)
    everything(Lines())
    first, second = "scan  1 of 10", "epoch 1/5  batch 1/10  loss 0.500  accuracy 0.900"
    assert screen.getvalue() == (
        f"\r{first}\r{' ' * len(first)}\r12 classes\n"
        f"\r{second}\r{' ' * len(second)}\r{epoch_line(ROW, 5)}\n"
        f"\rtest  1 of 2\r{' ' * len('test  1 of 2')}\r"
    )


def test_a_shorter_live_line_covers_a_longer_one(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_FRAMES", 0.0)
    observer = Lines()
    observer.progress("decode train", 1, 1000)
    observer.progress("scan", 1, 9)
    assert screen.getvalue().rpartition("\r")[2] == "scan  1 of 9".ljust(len("decode train  1 of 1,000"))


@pytest.mark.parametrize(
    ("score", "shown"), [("accuracy", "accuracy 50.00%"), ("closeness", "closeness 50.00%")]
)
def test_the_line_of_an_epoch_names_the_score(score, shown):
    row = {key.replace("accuracy", score): value for key, value in ROW.items()}
    assert shown in epoch_line(row, 5) and "validation 98.70%" in epoch_line(row, 5)
