"""From a reference to a trained network: in the package, a run, a weight file, torchvision or timm."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import torch
from torch import nn

from convscope.core.bundle import Bundle, find_bundle
from convscope.core.errors import UserError, unknown_name
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.pretrained import LoadReport, Pretrained, shorten
from convscope.models.pytorch.load_weights import WRAPPER, KeyMaps, load_weights, renamed
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.published_weights import (
    SHIPPED,
    from_timm,
    from_torchvision,
    published_statistics,
)
from convscope.models.pytorch.weight_file import SUFFIXES, read_tensors, tensor_bytes
from convscope.models.pytorch.zoo import create, key_maps_of
from convscope.models.references import is_there
from convscope.models.variants.registry import variants


def open_pretrained(reference: str, *, model: str | None = None) -> Pretrained:
    """The trained network that `reference` means; weights that are not on this machine are downloaded.

    Args:
        reference: a network of `convscope summary` (in the package, or torchvision's weights for it),
            "torchvision:NAME", "timm:NAME", a run folder or bundle, or a weight file (.safetensors, .npz,
            .pth). A folder with the name of a network is meant by ./NAME.
        model: which network the weights are for, where the reference does not say it.

    Raises:
        UserError: for an unknown reference, and for one that contradicts `model`.
        Failure: where a download does not work.

    >>> weights = open_pretrained("squeezenet1_0")
    >>> net, report = build_pretrained(weights, input_shape=(3, 227, 227), classes=6)
    >>> weights.size, len(report.loaded), report.missing
    ((227, 227), 50, ())
    """
    # A name wins over a file or folder of that name, which ./NAME still reaches.
    program, colon, name = reference.partition(":")
    if colon and program in ("torchvision", "timm"):
        return _from_program(program, name, model)
    if reference in variants:
        if model not in (None, reference):
            raise UserError(
                f"--pretrained {reference} are weights of {reference}, and --model says {model}; "
                "leave one of them out"
            )
        return _shipped(reference) if reference in SHIPPED else from_torchvision(reference, reference)
    path = Path(reference)
    if not reference.strip() or not is_there(path):
        raise _nowhere(reference)
    return _from_bundle(path, model) if path.is_dir() or _is_bundle(path) else _from_file(path, model)


def build_pretrained(
    weights: Pretrained, *, input_shape: Sequence[int], classes: int
) -> tuple[Network, LoadReport]:
    """The network with trained weights in its body and a fresh linear head, and how the body fitted.

    Args:
        weights: as `open_pretrained` gives them; their tensors are torch's.
        input_shape: (C, H, W) of the images.
        classes: K, how many logits the head gives.

    Raises:
        UserError: with the names, where a weight of the body is missing, has another shape or is left over.
    """
    network = create(
        weights.name, input_shape=input_shape, classes=classes, options=weights.options, head="linear"
    )
    key_maps = key_maps_of(weights.name)
    # A head in the file is for other classes: with as many of them it would slip in beside the body.
    report = load_weights(nn.ModuleDict({"body": network.body}), weights.tensors, key_maps)
    if wrong := [*report.missing, *report.mismatches()]:
        raise UserError(
            f"{weights.origin} does not fit {weights.name}: missing or of another shape: {shorten(wrong)}"
            f"{_remedy(weights, network)}"
        )
    # All fits and something is left: half of a larger network is no network.
    if extra := _left_over(report, key_maps):
        raise UserError(
            f"{weights.origin} does not fit {weights.name}, which has no place for {shorten(extra)}; is it "
            "of a larger network? name that one with --model"
        )
    return network, report


def _remedy(weights: Pretrained, network: Network) -> str:
    if len(weights.mean) < network.spec.input_shape[0]:
        return "; they are for grey images: --set data.channels=1"
    return "; for images of up to 64 pixels it has another stem, see data.size" if network.spec.small else ""


def _left_over(report: LoadReport, key_maps: KeyMaps) -> list[str]:
    """The names that would lie in the body if it were larger: ResNet-34 holds every tensor of ResNet-18."""
    renames = ((WRAPPER, ""), *key_maps.get(report.key_map, ()))
    return [name for name in report.unexpected if renamed(name, renames).startswith("body.")]


def _nowhere(reference: str) -> UserError:
    path = Path(reference)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        return UserError(
            f"there is no run or weight file at {reference}; give back what was there, or say "
            "--pretrained anew"
        )
    return unknown_name("trained network (nor file or run)", reference, [*variants])


def _from_program(program: str, name: str, model: str | None) -> Pretrained:
    # timm's names say network.weights, such as resnet18.a1_in1k.
    network = model or name.partition(".")[0]
    if network not in variants:
        raise UserError(
            f"--pretrained {program}:{name} does not say which network of the list it is; add --model NAME"
        )
    return (from_torchvision if program == "torchvision" else from_timm)(name, network)


def _shipped(name: str) -> Pretrained:
    side, origin = SHIPPED[name]
    file = files("convscope.models.pytorch") / "shipped" / f"{name}.npz"
    return Pretrained(name, origin, read_tensors(Path(str(file))), (side, side), tensor_bytes=tensor_bytes)


def _is_bundle(path: Path) -> bool:
    # Weight files of others are safetensors, too; Convscope's have a document in their metadata.
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return "convscope" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _from_bundle(path: Path, model: str | None) -> Pretrained:
    bundle, file = Bundle.load(path), find_bundle(path)
    own = bundle.model["name"]
    name = model or own
    if name not in variants:
        raise UserError(
            f"{file} holds weights of the own network {own!r}; transfer needs one of `convscope summary`"
        )
    if own in variants and name != own:
        raise UserError(f"{file} holds weights of {own}, and --model says {name}; leave --model out")
    # A run brings its own statistics: its weights have seen no others.
    preprocess = Preprocess.from_dict(bundle.preprocess)
    return Pretrained(
        name,
        f"the run {path}",
        {key: torch.from_numpy(value) for key, value in bundle.weights.items()},
        (preprocess.height, preprocess.width),
        preprocess.mean,
        preprocess.std,
        bundle.model["options"],
        tensor_bytes,
    )


def _from_file(path: Path, model: str | None) -> Pretrained:
    tensors = read_tensors(path)
    if model is None:
        raise UserError(f"{path} holds weights and no word on the network they are for; add --model NAME")
    _, height, width = variants[model].spec.input_shape
    mean, std = published_statistics(model)
    origin = f"the file {path}"
    return Pretrained(model, origin, tensors, (height, width), mean, std, tensor_bytes=tensor_bytes)
