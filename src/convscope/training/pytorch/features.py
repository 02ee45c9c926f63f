"""What a trained body sees in images, computed once and kept: training a head on it then takes seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from convscope.core.contracts import Progress
from convscope.core.errors import ConvscopeError
from convscope.data.cache_folder import UnusableCache, cache_folder
from convscope.data.preparing import pixel_cache
from convscope.data.preparing.prepared import cache_limit
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.models.pytorch.device import autocast
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.pretrained import bytes_of
from convscope.models.pytorch.shapes import eval_mode

FOLDER = "features"  # below the cache folder
MOST_IMAGES = 32  # in one batch: two layers of maps at 227 pixels then take 200 MB


def features_of(
    network: Network,
    part: PreparedSplit,
    preprocess: Preprocess,
    *,
    precision: str,
    progress: Progress,
) -> Tensor:
    """The mean of each map of the last stage, float32 n×C on the CPU, for the n images of a part.

    Kept on disk under a key of pixels, preprocessing, network, weights and number type, so that the same
    perturbations is never computed twice. Where the cache cannot be written, they are computed each time.
    """
    key = _key(network, part, preprocess, precision)
    known = _load_cached(key)
    if known is not None:
        return known
    found = torch.cat(list(_compute(network, part, preprocess, precision=precision, progress=progress)))
    with suppress(ConvscopeError):  # a cache that cannot be had costs time the next time, and nothing else
        pixel_cache.store(
            cache_folder() / FOLDER,
            key,
            [found.numpy().view(np.uint8)],
            need=found.numel() * 4,
            limit=cache_limit(),
            facts=lambda: {"shape": [len(found), found.shape[1] * 4]},
        )
    return found


def _load_cached(key: str) -> Tensor | None:
    try:
        known = pixel_cache.load_cached(cache_folder() / FOLDER, key)
    except UnusableCache:  # there is no home folder
        return None
    return None if known is None else torch.from_numpy(known.images.view(np.float32).copy())


def _compute(
    network: Network, part: PreparedSplit, preprocess: Preprocess, *, precision: str, progress: Progress
) -> Iterator[Tensor]:
    device = next(network.parameters()).device
    done = 0
    with eval_mode(network), torch.inference_mode():
        for images in part.batches(MOST_IMAGES):
            batch = (
                torch.from_numpy(np.require(images, requirements=["C", "W"])).to(device).permute(0, 3, 1, 2)
            )
            with autocast(precision, device):
                maps = network.body(normalise(batch, preprocess.mean, preprocess.std))
            yield maps.float().mean(dim=(2, 3)).cpu()
            done += len(images)
            progress(done, len(part))


def _key(network: Network, part: PreparedSplit, preprocess: Preprocess, precision: str) -> str:
    """A digest of everything that decides the features; a gigabyte a second is nothing beside computing
    them.
    """
    digest = hashlib.blake2b(
        f"{network.spec.to_dict()} {preprocess.to_dict()} {precision}".encode(), digest_size=16
    )
    for name, value in network.body.state_dict().items():
        digest.update(name.encode())
        digest.update(bytes_of(value))
    for images in part.batches(256):
        digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()
