"""The ruler of the golden files measures: a wrong digit, a missing line and a wrong word fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.golden_files import COMMAND, FOLDER, SWITCH, check, differences, plain

TEXT = """epoch 1/2  loss 0.553  accuracy 88.89%  best
parameters 14,115
"top1": 0.8444444444444444
"loss": 0.9443127512931824
┃ a ┃ 12.25 ┃"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.553", "0.563"),
        ("88.89", "88.79"),
        ("14,115", "14,116"),
        ("0.8444", "0.8644"),
        ("0.9443", "0.9343"),
        ("12.25", "-12.25"),
        ("best", "worst"),
        ("top1", "top5"),
        ("parameters 14,115\n", ""),
        ("0.553", "nan"),
        ("1/2", "1/3"),
        ("┃ a ┃", "┃ a b ┃"),
    ],
)
def test_what_is_wrong_is_seen(old: str, new: str) -> None:
    assert old in TEXT
    assert differences(TEXT, TEXT.replace(old, new))
    assert differences(TEXT.replace(old, new), TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.553", "0.554"),
        ("88.89", "88.90"),
        ("0.9443127512931824", "0.9443189512931824"),
        ("┃ a ┃", "┃   a   ┃"),
    ],
)
def test_last_digits_and_widths_are_free(old: str, new: str) -> None:
    assert differences(TEXT, TEXT.replace(old, new)) == []


def test_every_digit_but_the_last_counts() -> None:
    """Of a number with all its digits: change each of the first three, up and down."""
    number = "0.9443127512931824"
    for place in (2, 3, 4):
        for change in (1, -1):
            digit = str((int(number[place]) + change) % 10)
            assert differences(number, number[:place] + digit + number[place + 1 :]), (place, change)


def test_the_message_says_what_and_how_to_accept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    (tmp_path / "x.txt").write_text("loss 0.5000\nsame\ngone\n")
    with pytest.raises(AssertionError) as failure:
        check("x.txt", "loss 0.6000\nsame\ncame\n", folder=tmp_path)
    message = str(failure.value)
    assert (
        "0.5000 → 0.6000" in message and "- gone" in message and "+ came" in message and "same" not in message
    )
    assert message.endswith(COMMAND)


def test_the_switch_keeps_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "1")
    check("a/x.txt", "loss 0.50000001\n", folder=tmp_path)
    check("a/x.txt", "loss 0.50000002\n", folder=tmp_path)
    assert (tmp_path / "a" / "x.txt").read_text() == "loss 0.50000001\n", (
        "the same within the tolerance is no news"
    )
    check("a/x.txt", "loss 0.75\n", folder=tmp_path)
    assert (tmp_path / "a" / "x.txt").read_text() == "loss 0.75\n"


def test_a_missing_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(AssertionError, match="golden file"):
        check("x.txt", "anything", folder=tmp_path)


def test_placeholders_leave_everything_else() -> None:
    assert plain({"seconds": 3.2, "rows": [{"date": "today", "top1": 0.5}]}) == {
        "seconds": "<seconds>",
        "rows": [{"date": "<date>", "top1": 0.5}],
    }


def test_golden_files_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()}
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}
    assert sum(sizes.values()) <= 1_000_000
