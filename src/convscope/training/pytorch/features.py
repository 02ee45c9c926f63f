"""What a trained body sees in images, computed once and kept: training a head on it then takes seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import numpy as np
import torch
from torch import Tensor

from convscope.core.errors import ConvscopeError
from convscope.core.run.progress import Progress
from convscope.data.cache_folder import UnusableCache, cache_folder
from convscope.data.preparing import pixel_cache
from convscope.data.preparing.prepared import cache_limit
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.data.pytorch.tensors import to_nchw
from convscope.models.pytorch.device import autocast
from convscope.models.pytorch.hooks import eval_mode
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.weight_file import tensor_bytes

FOLDER = "features"
"""Below the cache folder."""
MOST_IMAGES = 32
"""In one batch: two layers of feature maps at 227 pixels then take 200 MB."""


def features_of(
    network: Network,
    split: PreparedSplit,
    preprocess: Preprocess,
    *,
    precision: str,
    what: str = "features",
    progress: Progress,
) -> Tensor:
    """The mean of each feature map of the last stage, for the images of a split.

    They are kept on disk under a fingerprint of pixels, preprocessing, network, weights and number type, so
    that the same features are never computed twice. Where the cache cannot be written, they are computed each
    time.

    Args:
        network: on its device; its body is asked in evaluation mode.
        split: n prepared images.
        preprocess: their mean and std.
        precision: the number type of the forward pass.
        what: the kind of work, for `progress`.
        progress: is called after each batch.

    Returns:
        float32 n×C on the CPU.
    """
    key = _fingerprint(network, split, preprocess, precision)
    cached = _load_cached(key)
    if cached is not None:
        return cached
    report = partial(progress, what)
    features = torch.cat(list(_compute(network, split, preprocess, precision=precision, report=report)))
    with suppress(ConvscopeError):  # a cache that cannot be had costs time the next time, and nothing else
        pixel_cache.store(
            cache_folder() / FOLDER,
            key,
            [features.numpy().view(np.uint8)],
            need=features.numel() * 4,
            limit=cache_limit(),
            facts=lambda: {"shape": [len(features), features.shape[1] * 4]},
        )
    return features


def _load_cached(key: str) -> Tensor | None:
    try:
        cached = pixel_cache.load_cached(cache_folder() / FOLDER, key)
    except UnusableCache:  # there is no home folder
        return None
    # A copy: the cache is a memory map that must not be written to, and a head is trained on the tensor.
    return None if cached is None else torch.from_numpy(cached.images.view(np.float32).copy())


def _compute(
    network: Network,
    split: PreparedSplit,
    preprocess: Preprocess,
    *,
    precision: str,
    report: Callable[[int, int], None],
) -> Iterator[Tensor]:
    device = next(network.parameters()).device
    done = 0
    with eval_mode(network), torch.inference_mode():
        for images in split.batches(MOST_IMAGES):
            x = normalise(to_nchw(images, device), preprocess.mean, preprocess.std)
            with autocast(precision, device):
                maps = network.body(x)
            # In float32, and off the device: features of all images would not fit on some.
            yield maps.float().mean(dim=(2, 3)).cpu()
            done += len(images)
            report(done, len(split))


def _fingerprint(network: Network, split: PreparedSplit, preprocess: Preprocess, precision: str) -> str:
    """Of everything that decides the features; at a gigabyte a second, nothing beside computing them."""
    spec = network.spec.to_dict()
    digest = hashlib.blake2b(f"{spec} {preprocess.to_dict()} {precision}".encode(), digest_size=16)
    for name, value in network.body.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor_bytes(value))
    # The pixels and not the name of the data: the same images under another name have the same features.
    for images in split.batches(256):
        digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()
