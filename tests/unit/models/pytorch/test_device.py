from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.device import (
    autocast,
    choose_device,
    choose_precision,
    keep_freed_memory,
    seed_everything,
    set_threads,
)

CPU = torch.device("cpu")


def pretend(monkeypatch, *, mps=False, cuda=False):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Test 9000")


@pytest.mark.parametrize(
    ("there", "kind", "says"),
    [
        ({}, "cpu", "cpu: no MPS or CUDA device is there"),
        ({"cuda": True}, "cuda", "cuda (Test 9000): the first there of MPS, CUDA and CPU"),
        ({"mps": True}, "mps", "mps: the first there of MPS, CUDA and CPU"),
        ({"mps": True, "cuda": True}, "mps", "mps: the first there of MPS, CUDA and CPU"),
    ],
)
def test_auto_takes_mps_then_cuda_then_the_cpu(monkeypatch, there, kind, says):
    pretend(monkeypatch, **there)
    chosen = choose_device()
    assert (chosen.device.type, chosen.reason) == (kind, says)


def test_a_wish_is_granted_or_refused(monkeypatch):
    pretend(monkeypatch, cuda=True)
    assert choose_device("cpu").reason == "cpu: asked for"
    assert choose_device("cuda").device == torch.device("cuda")
    with pytest.raises(UserError, match=r"'mps' was asked for .* there is: cuda, cpu"):
        choose_device("mps")
    with pytest.raises(UserError, match="no device 'cud'; did you mean 'cuda'"):
        choose_device("cud")


@pytest.mark.parametrize(
    ("capabilities", "precision", "says"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "bfloat16", "amx_bf16"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bfloat16", "avx512_bf16"),
        ({"avx2": True, "avx512_f": True}, "float32", "neither"),
        ({}, "float32", "neither"),
    ],
)
def test_the_cpu_decides_by_what_it_can(monkeypatch, capabilities, precision, says):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    chosen, reason = choose_precision("auto", CPU)
    assert chosen == precision and says in reason


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_cuda_decides_by_its_generation(monkeypatch, capability, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision("auto", torch.device("cuda"))[0] == precision


def test_mps_is_safe():
    assert choose_precision("auto", torch.device("mps"))[0] == "float32"


def test_a_precision_can_be_asked_for():
    for wish in ("float32", "bfloat16"):
        assert choose_precision(wish, CPU) == (wish, "asked for")
    assert choose_precision("float16", torch.device("cuda")) == ("float16", "asked for")
    with pytest.raises(UserError, match=r"float16 was asked for on a CPU.*bfloat16, float32 or auto"):
        choose_precision("float16", CPU)
    with pytest.raises(UserError, match="did you mean 'bfloat16'"):
        choose_precision("bfloat", CPU)


def test_autocast():
    layer, x = nn.Linear(3, 2), torch.zeros(1, 3)
    with autocast("float32", CPU):
        assert layer(x).dtype == torch.float32
    with autocast("bfloat16", CPU):
        assert layer(x).dtype == torch.bfloat16
    assert layer(x).dtype == torch.float32
    with pytest.raises(UserError, match="no precision 'half'"):
        autocast("half", CPU)


def test_threads(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    assert set_threads() == torch.get_num_threads() and asked == []
    set_threads(3)
    assert asked == [3]
    with pytest.raises(UserError, match="threads=0"):
        set_threads(0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep memory")
def test_freed_memory_is_used_again():
    """A block of 32 MiB has 8,192 pages; each that comes from the kernel is one fault; soon there are
    none."""
    code = (
        "import resource, sys, torch\n"
        "from convscope.models.pytorch.device import keep_freed_memory\n"
        "if not keep_freed_memory(): sys.exit(77)\n"
        "def faults(rounds):\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(rounds): torch.ones(2**23)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "faults(20); print(faults(10))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if run.returncode == 77:
        pytest.skip("this C library is not glibc")
    assert int(run.stdout) < 1000


def test_elsewhere_it_says_no(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def draws():
    return random.random(), float(np.random.rand()), torch.rand(3).tolist()


def test_one_seed_sets_every_state():
    seed_everything(5)
    first = draws()
    draws()
    seed_everything(5)
    assert draws() == first
    seed_everything(6)
    other = draws()
    assert all(a != b for a, b in zip(first, other, strict=True))
    with pytest.raises(UserError, match="seed -1"):
        seed_everything(-1)
