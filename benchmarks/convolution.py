"""Time of the NumPy convolutions beside torch.nn.functional.conv2d, one thread each, in turns, in one run.

    python benchmarks/convolution.py   # a minute; benchmarks/results/convolution.json

The layer is 8×64×56×56 → 128 maps, 3×3, padding 1, float32: 1.85 billion multiplications. A figure is the
median over the rounds, a ratio the median of the rounds' ratios. All is measured twice: with the allocator as
it comes, which asks the system for each result anew, and with freed memory kept, as `convscope train` has it;
torch gains more by it.

The loops take many minutes for the layer. They are timed on a small one with the same 576 products a number,
and scaled by the count of multiplications. A last table shows where the Fourier transform overtakes the
matrix product.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from convscope.models.pytorch.device import keep_freed_memory
from convscope.reference.arrays import Array
from convscope.reference.convolution.conv2d import conv2d, conv2d_backward
from record import record

LAYER, FILTERS, SMALL = (8, 64, 56, 56), 128, (1, 64, 8, 8)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
Work = Callable[[], object]


def single_threaded() -> None:
    """Start this program again with one thread where it has more: NumPy's BLAS reads the number when it is
    loaded.
    """
    if ONE_THREAD.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    torch.set_num_threads(1)


def numbers(*shape: int) -> Array:
    """Normal numbers, float32."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def milliseconds(work: Work) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def in_turns(ours: dict[str, Work], theirs: Work, *, rounds: int) -> list[dict[str, object]]:
    """Each of ours and theirs, one after the other, `rounds` times after one that does not count."""
    times = [
        {name: milliseconds(work) for name, work in {**ours, "": theirs}.items()} for _ in range(rounds + 1)
    ][1:]
    return [
        {
            "what": name,
            "ms": round(statistics.median(t[name] for t in times), 1),
            "torch_ms": round(statistics.median(t[""] for t in times), 1),
            "ratio": round(statistics.median(t[name] / t[""] for t in times), 2),
        }
        for name in ours
    ]


def layer(rounds: int) -> list[dict[str, object]]:
    """The layer by each method and its gradients; the results are compared before they are timed."""
    x, w, dy = numbers(*LAYER), numbers(FILTERS, LAYER[1], 3, 3), numbers(LAYER[0], FILTERS, *LAYER[2:])
    tx, tw, tdy = (torch.from_numpy(array) for array in (x, w, dy))
    leaves = [
        tx.clone().requires_grad_(),
        tw.clone().requires_grad_(),
        torch.zeros(FILTERS, requires_grad=True),
    ]
    result = F.conv2d(*leaves, padding=1)
    ways: dict[str, Work] = {
        method: lambda method=method: conv2d(x, w, padding=1, method=method)
        for method in ("im2col", "winograd", "fft")
    }
    for name, way in ways.items():
        np.testing.assert_allclose(way(), result.detach().numpy(), rtol=0, atol=1e-3, err_msg=name)
    forward = in_turns(ways, lambda: F.conv2d(tx, tw, padding=1), rounds=rounds)
    backward = in_turns(
        {"backward": lambda: conv2d_backward(dy, x, w, padding=1)},
        lambda: torch.autograd.grad(result, leaves, tdy, retain_graph=True),
        rounds=rounds,
    )
    return forward + backward


def loops() -> dict[str, float]:
    """The literal loops on a small layer, scaled to the large one by multiplications."""
    x, w = numbers(*SMALL), numbers(4, SMALL[1], 3, 3)
    taken = milliseconds(lambda: conv2d(x, w, padding=1, method="naive"))
    small = SMALL[2] * SMALL[3] * w.size
    large = LAYER[0] * LAYER[2] * LAYER[3] * FILTERS * LAYER[1] * 9
    return {"multiplications": small, "ms": round(taken, 1), "scaled_ms": round(taken * large / small)}


def kernels(rounds: int) -> list[dict[str, object]]:
    """The matrix product and the Fourier transform as the kernel grows, the layer as it is otherwise."""
    x = numbers(*LAYER)
    rows = []
    for k in (3, 7, 11, 15):
        w = numbers(FILTERS, LAYER[1], k, k)
        times = {
            method: statistics.median(
                milliseconds(lambda w=w, k=k, method=method: conv2d(x, w, padding=k // 2, method=method))
                for _ in range(rounds)
            )
            for method in ("im2col", "fft")
        }
        rows.append({"kernel": k, **{f"{method}_ms": round(ms, 1) for method, ms in times.items()}})
    return rows


def headline(rows: list[dict[str, object]], slow: dict[str, float]) -> list[dict[str, str]]:
    """The ratio to torch as both come, beside it the one with freed memory kept, and the ratio to the
    loops."""
    as_is, *kept = (row for row in rows if row["what"] == "im2col")
    beside = f"; {kept[0]['ratio']} × with freed memory kept, {kept[0]['ms']} ms" if kept else ""
    faster = slow["scaled_ms"] / float(str(as_is["ms"]))
    return [
        {
            "what": "`conv2d` in NumPy (im2col, 8×64×56×56 → 128, 3×3, float32) beside "
            "`torch.nn.functional.conv2d`",
            "measured": f"{as_is['ratio']} × its time ({as_is['ms']} ms, one thread each{beside})",
            "reach": "≤ 1.5 ×",
        },
        {
            "what": "the same beside the loops that define it",
            "measured": f"{faster:,.0f} × faster (the loops scaled by multiplications)",
            "reach": "≥ 500 ×",
        },
    ]


def main() -> None:
    """Measure, print the table, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    single_threaded()
    load, rows = os.getloadavg()[0], []
    print(f"{'':10}{'memory':>10}{'ours/ms':>10}{'torch/ms':>10}{'ratio':>8}")
    for kept in (False, True):
        if kept and not keep_freed_memory():
            continue
        for row in layer(arguments.rounds):
            rows.append({**row, "freed_memory_kept": kept})
            memory = "kept" if kept else "as is"
            print(f"{row['what']:10}{memory:>10}{row['ms']:10}{row['torch_ms']:10}{row['ratio']:8}")
    slow, sizes = loops(), kernels(3)
    print(
        f"loops: {slow['ms']:,.0f} ms for {slow['multiplications']:,} multiplications, "
        f"{slow['scaled_ms']:,} ms scaled"
    )
    for row in sizes:
        print(f"kernel {row['kernel']:2}: im2col {row['im2col_ms']:8} ms   fft {row['fft_ms']:8} ms")
    around = {"rounds": arguments.rounds, "load_before": round(load, 1)}
    figures = {**around, "rows": rows, "loops": slow, "kernels": sizes, "headline": headline(rows, slow)}
    for line in figures["headline"]:
        print(f"{line['what']}: {line['measured']}; {line['reach']}")
    record("convolution", figures)


if __name__ == "__main__":
    main()
