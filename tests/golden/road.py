"""Every verb, walked once on tiny data in one folder. What each said is kept beside what it wrote."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from convscope.cli import main
from golden.pictures import write_npz, write_photographs

QUICK = "--set train.batch_size=24 --set train.precision=float32 --set train.threads=1 --set train.device=cpu"
FLOAT = "--set train.precision=float32 --set train.threads=1 --set train.device=cpu"
SIMPLE = "animals.npz --model simple_cnn"
COLOURS = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
VERBS = ("scan", "labels", "train", "evaluate", "predict", "explain", "compare", "summary")

NET = '''
from torch import nn


class Net(nn.Sequential):
    """A network of one's own."""

    def __init__(self):
        pool = nn.AdaptiveAvgPool2d(2)
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(16, 3))
'''
SETTINGS = """
seed = 4
[model]
name = "simple_cnn"
options = { widths = [4, 8] }
[train]
epochs = 2
batch_size = 60
threads = 1
precision = "float32"
device = "cpu"
"""

WALK = {
    "scan": "scan animals.npz",
    "scan_photos": "scan photos",
    "scan_json": "scan photos --json",
    "train": f"train {SIMPLE} --epochs 3 --set train.lr=0.05 {QUICK} --out A",
    "train_resume": f"train {SIMPLE} --epochs 3 --set train.lr=0.05 {QUICK} --out A --resume",
    "train_resume_other": f"train {SIMPLE} --epochs 4 {QUICK} --out A --resume",
    "train_seeds": f"train {SIMPLE} --epochs 2 --seeds 2 --set train.lr=0.02 {QUICK} --out B",
    "train_file": "train animals.npz --config settings.toml --out T",
    "train_own": f"train animals.npz --model my_net.py:Net --epochs 2 {QUICK} --out O",
    "train_rate": f"train {SIMPLE} --check lr {QUICK}",
    "train_overfit": f"train {SIMPLE} --check overfit {QUICK}",
    "train_head": f"train photos --epochs 6 --set train.batch_size=64 --set data.size=72 {FLOAT} --out H",
    "train_finetune": (
        "train photos --mode finetune --epochs 6 --set train.batch_size=64 --set data.size=72 "
        f"{FLOAT} --out F"
    ),
    "evaluate": "evaluate A",
    "evaluate_other_data": "evaluate A --data other.npz",
    "evaluate_json": "evaluate O --model my_net.py:Net --split train --json",
    "evaluate_report": "evaluate A --report --out R",
    "evaluate_head": "evaluate H",
    "predict": "predict H photos/checks/000.png photos/waves",
    "predict_csv": (
        "predict H photos/checks/000.png photos/waves/torn.png photos/stripes/001.png --format csv"
    ),
    "predict_json": "predict H photos/checks/000.png photos/waves/torn.png --top 2 --format json",
    "explain": "explain A photos/checks/000.png photos/waves/torn.png photos/stripes/001.png",
    "explain_all": "explain A photos/checks/000.png --method all --out X",
    "explain_auto": "explain A photos/checks/000.png --method auto --class cow --out Y --json",
    "explain_filters": "explain A --show filters",
    "explain_maps": "explain A --show maps",
    "explain_units": "explain A --show units",
    "explain_field": "explain A --show field",
    "explain_embedding": "explain A --show embedding",
    "compare": "compare A B B-2",
    "compare_json": "compare A T O --json",
    "compare_data": f"compare simple_cnn my_net.py:Net --data animals.npz --epochs 2 {QUICK} --out C",
    "compare_data_again": f"compare simple_cnn my_net.py:Net --data animals.npz --epochs 2 {QUICK} --out C",
    "labels": f"labels photos --folds 3 --set data.size=72 --set train.epochs=8 {QUICK} --out L",
    "labels_json": f"labels photos --folds 3 --set data.size=72 --set train.epochs=8 {QUICK} --out L --json",
    "summary": "summary",
    "summary_input": "summary small_cnn --input 3x32x32 --classes 7 --set widths=[16,32]",
    "summary_run": "summary A",
    "summary_own": "summary my_net.py:Net --input 1x12x12 --classes 3",
    "summary_paper": "summary mobilenet_v3_small --input 3x64x64",
    "summary_json": "summary lenet5 --json",
}
"""Name and words of every step, in their order; later ones need what earlier ones wrote."""

DEFAULT = {
    "train_default": f"train --epochs 30 --set data.share=0.002 --set data.validation=0.005 {FLOAT} --out M"
}
"""The first command that anybody types, on a fraction of its images."""

ERRORS = {
    "": ["trian", "--no-such"],
    "scan": ["scan", "scan nowhere", "scan animals.npz --jsn"],
    "labels": ["labels", f"labels animals.npz --folds 1 {FLOAT}", "labels animals.npz --mode tune"],
    "train": [
        "train animals.npz --model small_cn",
        "train animals.npz --set train.learning_rate=0.1",
        "train animals.npz --set train.lr=-1",
        "train animals.npz --config nowhere.toml",
        "train cifar",
        "train animals.npz --epochs many",
    ],
    "evaluate": ["evaluate", "evaluate nowhere", "evaluate A --split tset", "evaluate A --data photos"],
    "predict": ["predict A", "predict A nowhere.png", "predict A photos/waves/torn.png"],
    "explain": [
        "explain A",
        "explain A photos --method gradcam",
        "explain A photos --class dog",
        "explain A --show all",
    ],
    "compare": [
        "compare",
        "compare A nowhere",
        "compare lenet5 small_cnn",
        "compare lenet5 --data animals.npz",
    ],
    "summary": ["summary smal_cnn", "summary lenet5 --input 28x28", "summary lenet5 --set width=3"],
}
"""What people mistype."""


def said(words: str, *, columns: int = 80) -> str:
    """What the program says to these words in a terminal so wide: both streams and the exit code."""
    arguments = shlex.split(words)
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["convscope", *arguments])
        patch.setenv("COLUMNS", str(columns))
        for name in COLOURS:
            patch.delenv(name, raising=False)
        patch.setenv("TERM", "dumb")
        code = main(arguments)
    return _told(words, out.getvalue(), err.getvalue(), code)


def said_afresh(words: str, *, columns: int = 80) -> str:
    """The same of a program that was started for these words alone: its list of verbs knows earlier ones."""
    program = "import sys; from convscope.cli import main; sys.argv[0] = 'convscope'; sys.exit(main())"
    plain = {name: value for name, value in os.environ.items() if name not in COLOURS}
    done = subprocess.run(
        [sys.executable, "-c", program, *shlex.split(words)],
        env=plain | {"COLUMNS": str(columns), "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    return _told(words, done.stdout, done.stderr, done.returncode)


def _told(words: str, out: str, errors: str, code: int) -> str:
    return f"$ convscope {words}\n{out}{errors and f'--- stderr{chr(10)}{errors}'}--- exit {code}\n"


def prepare(folder: Path) -> None:
    """The files that the walk starts from."""
    write_npz(folder / "animals.npz")
    write_npz(folder / "other.npz", train=30, test=30, seed=7)
    write_photographs(folder / "photos")
    (folder / "my_net.py").write_text(NET.lstrip(), encoding="utf-8")
    (folder / "settings.toml").write_text(SETTINGS.lstrip(), encoding="utf-8")


def walk(folder: Path, steps: Mapping[str, str] = WALK) -> None:
    """Walk in `folder` and keep what was said in `said/NAME.txt`."""
    prepare(folder)
    (folder / "said").mkdir()
    with contextlib.chdir(folder):
        for name, words in steps.items():
            (folder / "said" / f"{name}.txt").write_text(said(words), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("CONVSCOPE_CACHE", str(Path(sys.argv[1]) / "cache"))
    Path(sys.argv[1]).mkdir(parents=True)
    walk(Path(sys.argv[1]).resolve())
