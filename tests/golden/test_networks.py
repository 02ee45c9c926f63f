"""The networks of the list: specs, names and shapes of weights, and what seeded ones answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from golden.golden_files import Tolerance, check
from golden.internals import create, networks
from golden.reading import terminal
from golden.road import said

LOGITS = Tolerance(relative=2e-4, absolute=2e-5)
"""Of logits, the largest of which is 1."""
ANSWERING = {
    "lenet5": (1, 28, 28),
    "lenet5_1998": (1, 32, 32),
    "small_cnn": (3, 32, 32),
    "deeper_cnn": (1, 32, 32),
    "lab_cnn_bn": (3, 32, 32),
    "resnet20": (3, 32, 32),
    "resnet18": (3, 64, 64),
    "seresnet50": (3, 64, 64),
    "preact_resnet18": (3, 64, 64),
    "alexnet": (3, 64, 64),
    "vgg11_bn": (3, 32, 32),
    "googlenet": (3, 64, 64),
    "densenet121": (3, 64, 64),
    "squeezenet1_1": (3, 64, 64),
    "mobilenet_v2": (3, 64, 64),
    "mobilenet_v3_small": (3, 64, 64),
    "shufflenet_v2_x1_0": (3, 64, 64),
    "efficientnet_b0": (3, 64, 64),
    "convnext_tiny": (3, 64, 64),
}


def test_the_specs(tmp_path: Path) -> None:
    check("specs.txt", terminal(said("summary --json"), tmp_path))


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers without fresh weights: only names and shapes are asked for."""
    for kind in (nn.Conv2d, nn.Linear, nn.BatchNorm2d):
        monkeypatch.setattr(kind, "reset_parameters", lambda layer: None)
    for name in ("normal_", "trunc_normal_", "zeros_", "ones_", "constant_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *values, **settings: tensor)


def test_names_and_shapes_of_all_weights(unset: None) -> None:
    lines: list[str] = []
    for name in networks:
        with torch.device("meta"):
            state = create(name).state_dict()
        lines += [f"{name}: {len(state)}", *_tree(_nested(state))]
    check("weights.txt", "\n".join(lines))


def _nested(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Shapes as text, by the parts of their names."""
    tree: dict[str, Any] = {}
    for name, value in state.items():
        *parents, last = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = "×".join(map(str, value.shape)) or "()"
    return tree


def _tree(tree: dict[str, Any], depth: int = 1) -> Iterator[str]:
    """A line a module, its weights behind it; equal ones that follow each other are one line, such as 1–4."""
    modules = [(name, below) for name, below in tree.items() if isinstance(below, dict)]
    for below, same in groupby(modules, key=lambda item: item[1]):
        names = [name for name, _ in same]
        yield " " * depth + (names[0] if len(names) == 1 else f"{names[0]}–{names[-1]}") + _shapes(below)
        yield from _tree(below, depth + 1)


def _shapes(module: dict[str, Any]) -> str:
    own = {name: shape for name, shape in module.items() if isinstance(shape, str)}
    norm = [own.get(name) for name in ("weight", "bias", "running_mean", "running_var")]
    if len(own) == 5 and own.get("num_batches_tracked") == "()" and len(set(norm)) == 1:
        return f" norm {norm[0]}"
    return "".join(f" {name} {shape}" for name, shape in own.items())


@pytest.mark.parametrize("name", ANSWERING)
def test_what_a_seeded_network_answers(name: str) -> None:
    shape = ANSWERING[name]
    torch.manual_seed(7)
    network = create(name, input_shape=shape, classes=5).eval()
    images = torch.from_numpy(np.random.default_rng(3).standard_normal((2, *shape))).float()
    with torch.no_grad():
        logits = network(images).double()
    largest = logits.abs().max().item()
    rows = [" ".join(f"{value:.5f}" for value in row) for row in (logits / largest).tolist()]
    check(f"logits/{name}.txt", "\n".join([f"times {largest:.6e}", *rows]), LOGITS)
