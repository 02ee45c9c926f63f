"""Trained weights as torchvision and timm publish them, downloaded into the cache once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import torch

from convscope.core.errors import Failure, UserError, nearest, unknown_name
from convscope.data.cache_folder import cache_folder
from convscope.models.pretrained import IMAGENET_MEAN, IMAGENET_STD, Pretrained
from convscope.models.pytorch.weight_file import tensor_bytes
from convscope.models.variants.registry import variants

SHIPPED = {"squeezenet1_0": (227, "SqueezeNet 1.0, trained on ImageNet, in the package")}
"""The networks whose weights are in the package: side of the images they saw in training, and where from."""

# torchvision converted these two from a release that scales to [−1, 1]; its own code undoes ImageNet's
# numbers inside.
SYMMETRIC = ("googlenet", "inception_v3")


def published_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation, a number a channel on the scale 0..1, that published weights of a network expect.

    >>> published_statistics("googlenet")
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    symmetric = (0.5,) * 3
    return (symmetric, symmetric) if name in SYMMETRIC else (IMAGENET_MEAN, IMAGENET_STD)


def from_torchvision(name: str, network: str) -> Pretrained:
    """The weights that torchvision publishes under a name, downloaded into the cache once.

    Args:
        name: as torchvision calls them.
        network: the one of the list that they are for.

    Raises:
        UserError: torchvision has no such weights.
        Failure: they cannot be downloaded, or the file in the cache is damaged.
    """
    from convscope.models.pytorch.torchvision_cpu import import_torchvision

    models = import_torchvision().models
    known = models.list_models(module=models)  # those that classify
    if name not in known:
        guess = None if name in variants else nearest(name, known, cutoff=0.8)
        raise UserError(
            f"torchvision has no trained weights for {name}; "
            + (f"did you mean {guess}? " if guess else "")
            + f"in the package are {', '.join(SHIPPED)}, or give a file: --pretrained FILE --model NAME"
        )
    weights = models.get_model_weights(name).DEFAULT
    folder = cache_folder() / "weights"
    file = folder / PurePosixPath(weights.url).name
    before = file.is_file()
    try:
        tensors = torch.hub.load_state_dict_from_url(
            weights.url, str(folder), map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except Exception as problem:  # of the network, of the disk, or any of those that a damaged file leads to
        if before and not isinstance(problem, PermissionError):  # nothing was asked of the network
            file.unlink(missing_ok=True)
            raise Failure(
                f"{file} was damaged and is removed; type the same again to download it anew"
            ) from None
        raise _no_download(
            f"torchvision's weights for {name}", weights.url, folder, problem, network
        ) from None
    (side,) = weights.transforms().crop_size
    mean, std = published_statistics(name)
    origin = f"torchvision's {weights}"
    return Pretrained(network, origin, tensors, (side, side), mean, std, tensor_bytes=tensor_bytes)


def from_timm(name: str, network: str) -> Pretrained:
    """The weights that timm publishes under a name, downloaded into the cache once.

    Args:
        name: as timm calls them.
        network: the one of the list that they are for.

    Raises:
        UserError: timm is not installed, or has no such network.
        Failure: they cannot be downloaded.
    """
    from convscope.models.pytorch.torchvision_cpu import allow_torchvision

    allow_torchvision()
    try:
        import timm
    except ModuleNotFoundError:
        raise UserError("timm is not installed; install it with: pip install timm") from None
    folder = cache_folder() / "weights"
    if not timm.is_model(name):
        raise unknown_name("network of timm", name, timm.list_models())
    try:
        built = timm.create_model(name, pretrained=True, cache_dir=str(folder))
    except Exception as problem:  # timm and its hub client raise whatever their own libraries do
        raise _no_download(f"timm's weights for {name}", "its page", folder, problem, network) from None
    cfg: Any = built.pretrained_cfg
    _, height, width = cfg["input_size"]
    tensors, size, statistics = built.state_dict(), (height, width), (cfg["mean"], cfg["std"])
    return Pretrained(network, f"timm's {name}", tensors, size, *statistics, tensor_bytes=tensor_bytes)


def _no_download(what: str, address: str, folder: Path, problem: Exception, network: str) -> Failure:
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return Failure(
        f"{what} are not in {folder} and could not be downloaded ({reason}); "
        f"get them from {address} on a machine with a network, and give the file: --pretrained FILE --model "
        f"{network}"
    )
