"""Rate of augmentation, uint8 to normalised float, beside torchvision v2 an image at a time.

    GOMP_SPINCOUNT=10000 python benchmarks/augmentation.py   # a minute; benchmarks/results/augmentation.json

Both start from 3×32×32 uint8 images in memory and end in normalised float32. Ours takes a batch at a time,
torchvision one image at a time as in a usual data set (its images already tensors, no collation counted).
The two take turns, so that whatever else the machine does falls on both; a figure is the median over the
rounds. The variable is what `convscope train` sets: threads that spin longer make two of them many times
slower beside other work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import torch

from convscope.data.pytorch.augmentation.policies import policy
from convscope.data.pytorch.normalise import normalise
from convscope.models.pytorch.torchvision_cpu import import_torchvision
from record import record

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
OURS = {
    "none": "none",
    "flip + crop": "basic",
    "flip + crop + cutout": "basic+cutout",
    "strong": "strong",
    "auto": "auto",
    "flip + crop + RandAugment": "basic+rand_augment",
    "flip + crop + AutoAugment": "basic+auto_augment",
}


def theirs() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """The same policies as chains of torchvision transforms of one image."""
    import_torchvision()
    from torchvision.transforms import v2

    def cutout(image: torch.Tensor) -> torch.Tensor:
        y, x = torch.randint(25, (2,)).tolist()
        image[:, y : y + 8, x : x + 8] = 0
        return image

    basic = [v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)]
    to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    strong = [
        v2.RandomHorizontalFlip(),
        v2.RandomResizedCrop(32, scale=(0.6, 1.0), antialias=True),
        v2.ColorJitter(0.2, 0.2, 0.2, 0.1),
        v2.RandomGrayscale(0.05),
        v2.RandomErasing(0.25),
    ]
    cifar = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    chains = {
        "none": to_float,
        "flip + crop": [*basic, *to_float],
        "flip + crop + cutout": [*basic, *to_float, cutout],
        "strong": [*strong, *to_float],
        "auto": [*basic, v2.TrivialAugmentWide(), *to_float, cutout],
        "flip + crop + RandAugment": [*basic, v2.RandAugment(), *to_float],
        "flip + crop + AutoAugment": [*basic, cifar, *to_float],
    }
    return {name: v2.Compose(chain) for name, chain in chains.items()}


def rate(work: Callable[[], None], images: int) -> float:
    """Images a second of one call."""
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)


def measure(
    name: str, chain: Callable[[torch.Tensor], torch.Tensor], *, batch: int, rounds: int
) -> dict[str, object]:
    """Both ways of one policy, in turns."""
    x = torch.randint(0, 256, (batch, 32, 32, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    images = list(x[:128].contiguous())
    augment, rng = policy(OURS[name]), torch.Generator().manual_seed(0)
    repeats = max(1, 2048 // batch)

    def ours() -> None:
        for _ in range(repeats):
            normalise(augment(x, rng), MEAN, STD)

    def one_at_a_time() -> None:
        for image in images:
            chain(image)

    pairs = [(rate(ours, repeats * batch), rate(one_at_a_time, len(images))) for _ in range(rounds + 2)][2:]
    return {
        "policy": name,
        "ours_images_per_s": round(statistics.median(ours for ours, _ in pairs)),
        "torchvision_images_per_s": round(statistics.median(tv for _, tv in pairs)),
        "ratio": round(statistics.median(ours / tv for ours, tv in pairs), 1),
    }


def main() -> None:
    """Measure every policy with one and with two threads, print the table, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[512, 128])
    arguments = parser.parse_args()
    chains, rows, load = theirs(), [], os.getloadavg()[0]
    print(f"{'policy':28}{'threads':>8}{'batch':>7}{'ours/s':>10}{'torchvision/s':>15}{'ratio':>8}")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for batch in arguments.batch:
            for name, chain in chains.items():
                row = {"threads": threads, "batch": batch}
                row |= measure(name, chain, batch=batch, rounds=arguments.rounds)
                rows.append(row)
                print(
                    f"{name:28}{threads:8}{batch:7}{row['ours_images_per_s']:10,}"
                    f"{row['torchvision_images_per_s']:15,}{row['ratio']:8}"
                )
    around = {"image": "3x32x32 uint8", "rounds": arguments.rounds, "load_before": round(load, 1)}
    around |= {"gomp_spincount": os.environ.get("GOMP_SPINCOUNT", ""), "torchvision": version("torchvision")}
    record("augmentation", {**around, "rows": rows, "headline": [headline(rows)]})


def headline(rows: list[dict[str, object]]) -> dict[str, str]:
    """The lowest ratio of flip + crop + cutout, over threads and batches."""
    worst = min(
        (row for row in rows if row["policy"] == "flip + crop + cutout"),
        key=lambda row: float(str(row["ratio"])),
    )
    batch = f"batch {worst['batch']}, {worst['threads']} thread(s)"
    where = f"{worst['ours_images_per_s']:,} images/s, {batch}; the lowest"
    return {
        "what": "augmentation (flip + crop + cutout, to float) beside torchvision v2 an image at a time",
        "measured": f"{worst['ratio']} × ({where} of {len(rows) // len(OURS)} settings)",
        "reach": "≥ 12 ×",
    }


if __name__ == "__main__":
    main()
