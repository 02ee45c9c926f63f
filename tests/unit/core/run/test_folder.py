from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convscope.core.config import RunConfig
from convscope.core.errors import Failure, UserError
from convscope.core.run.folder import (
    gone_unless_begun,
    locked,
    new_folder,
    read_config,
    resumable,
    run_name,
    runs_of,
    write_config,
)

ONE, OTHER = RunConfig(), RunConfig.from_dict({"train": {"lr": 0.3, "epochs": 3}, "seed": 2})


def started(base, config=ONE):
    folder = new_folder(base)
    write_config(folder, config)
    return folder


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("cifar10", "torch_net_cifar10"),
        ("../../etc", "torch_net_etc"),
        ("a/b\0c", "torch_net_a_b_c"),
        ("", "torch_net_unnamed"),
        ("...", "torch_net_unnamed"),
        ("Füße 2024", "torch_net_Füße_2024"),
    ],
)
def test_a_name_that_no_file_system_minds(data, expected):
    assert run_name("torch", "net", data) == expected


def test_a_second_run_takes_a_suffix_and_the_first_stays(tmp_path):
    base = tmp_path / "deep" / "run"
    folders = [started(base) for _ in range(3)]
    assert [f.name for f in folders] == ["run", "run-2", "run-3"]
    (tmp_path / "deep" / "run-2" / "config.json").unlink()
    (tmp_path / "deep" / "run-2").rmdir()
    assert new_folder(base).name == "run-2"


def test_a_file_in_the_way_is_not_overwritten(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UserError, match="is a file; a run needs a folder"):
        new_folder(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"
    with pytest.raises(UserError, match="is a file; a folder is needed"):
        new_folder(tmp_path / "run" / "below")


def test_an_empty_folder_is_taken_and_a_full_one_is_not(tmp_path):
    (tmp_path / "run").mkdir()
    assert new_folder(tmp_path / "run").name == "run"
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert new_folder(tmp_path / "run").name == "run-2"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot lock folders")
def test_a_run_is_one_process_s_own_until_it_lets_go(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match="another process trains in"), locked(tmp_path):
        pytest.fail("two at once")
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is Linux")
def test_a_folder_that_cannot_be_made_is_one_line():
    with pytest.raises((UserError, Failure), match="/proc/self/nowhere"):
        new_folder(Path("/proc/self/nowhere/run"))


def test_newest_means_the_highest_number(tmp_path):
    for _ in range(11):
        started(tmp_path / "run")
    for stray in ("run-x", "run-2-3", "runner", "run-12"):
        (tmp_path / stray).mkdir()
    assert [f.name for f in runs_of(tmp_path / "run")][:3] == ["run-11", "run-10", "run-9"]
    assert runs_of(tmp_path / "nowhere" / "run") == []


def test_brackets_and_dots_in_a_name_are_not_a_pattern(tmp_path):
    started(tmp_path / "a.b[1]")
    started(tmp_path / "aXb1")
    assert [f.name for f in runs_of(tmp_path / "a.b[1]")] == ["a.b[1]"]


def test_resume_takes_the_newest_that_matches(tmp_path):
    base = tmp_path / "run"
    assert resumable(base, ONE) is None
    started(base), started(base), started(base, OTHER)
    assert resumable(base, ONE) == tmp_path / "run-2"
    assert resumable(base, OTHER) == tmp_path / "run-3"


def test_resume_names_the_key_that_differs(tmp_path):
    started(tmp_path / "run", ONE)
    with pytest.raises(
        UserError, match=r"run was started with other settings: train\.lr was None and is now 0\.5"
    ):
        resumable(tmp_path / "run", ONE.merge({"train": {"lr": 0.5}}))
    with pytest.raises(
        UserError, match=r"seed was 0 and is now 1; give the same words, or leave out --resume"
    ):
        resumable(tmp_path / "run", ONE.merge({"seed": 1}))


def test_in_a_series_another_seed_is_another_run(tmp_path):
    started(tmp_path / "run", ONE)
    assert resumable(tmp_path / "run", ONE.merge({"seed": 1}), series=True) is None
    assert resumable(tmp_path / "run", ONE, series=True) == tmp_path / "run"
    with pytest.raises(UserError, match=r"train\.epochs"):
        resumable(tmp_path / "run", OTHER, series=True)


def test_a_configuration_comes_back_as_it_went(tmp_path):
    assert read_config(started(tmp_path / "run", OTHER)) == OTHER


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"trian": {}}', "\xff"])
def test_a_damaged_configuration_is_one_line(tmp_path, text):
    folder = started(tmp_path / "run")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        read_config(folder)
    assert "\n" not in str(caught.value)


def test_a_run_that_never_began_leaves_no_folder(tmp_path):
    folder = started(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), gone_unless_begun(folder):
        raise KeyboardInterrupt
    assert not folder.exists()
    folder = started(tmp_path / "run")
    with gone_unless_begun(folder):
        pass
    assert folder.exists()


def test_what_fails_inside_a_lock_is_not_taken_for_the_lock(tmp_path):
    with pytest.raises(BlockingIOError, match="a pipe"), locked(tmp_path):
        raise BlockingIOError("a pipe")
