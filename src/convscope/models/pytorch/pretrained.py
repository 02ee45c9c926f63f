"""A network that was trained before, by whatever names it: in the package, a run, a file, torchvision or
timm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from convscope.core.bundle import Bundle, find_bundle
from convscope.core.errors import Failure, UserError, nearest, unknown_name
from convscope.data.cache_folder import cache_folder
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.pytorch.load_weights import WRAPPER, KeyMaps, LoadReport, load_weights, renamed, shorten
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import format_shape
from convscope.models.pytorch.weight_file import SUFFIXES, is_there, read_tensors
from convscope.models.pytorch.zoo import create, networks

SHIPPED = {"squeezenet1_0": (227, "SqueezeNet 1.0, trained on ImageNet, in the package")}
"""The networks whose weights are in the package: side of the images they were trained with, and where from.
"""

# Channel means and deviations of ImageNet's training images, as nearly every published network uses them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# torchvision converted these two from a release that scales to [−1, 1]; its own code undoes ImageNet's
# numbers inside.
SYMMETRIC = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Pretrained:
    """Weights with what is needed to use them: the network's name and options, and the preprocessing they
    expect.

    `size` is (height, width); `mean` and `std` hold one number a channel on the scale 0..1; `origin` is for
    people.
    """

    name: str
    origin: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    options: Mapping[str, Any] = field(default_factory=dict)

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation for images of `channels`: for grey ones the average over the colours, and
        back.
        """
        if len(self.mean) == channels:
            return self.mean, self.std
        mean, std = sum(self.mean) / len(self.mean), sum(self.std) / len(self.std)
        return (mean,) * channels, (std,) * channels

    def digest(self) -> str:
        """Twelve hexadecimal digits that tell these weights from others, over names, shapes and bytes."""
        digest = hashlib.blake2b(digest_size=6)
        for name in sorted(self.tensors):
            digest.update(f"{name}{tuple(self.tensors[name].shape)}".encode())
            digest.update(bytes_of(self.tensors[name]))
        return digest.hexdigest()

    def build(self, *, input_shape: Sequence[int], classes: int) -> tuple[Network, LoadReport]:
        """The network with these weights in its body and a fresh linear head for K classes, and how the body
        fitted.

        Raises UserError, with the names, where a weight of the body is missing, has another shape or is left
        over.
        """
        network = create(
            self.name, input_shape=input_shape, classes=classes, options=self.options, head="linear"
        )
        key_maps = networks[self.name].key_maps
        # A head in the file is for other classes: with as many of them it would slip in beside the body.
        fit = load_weights(nn.ModuleDict({"body": network.body}), self.tensors, key_maps)
        if wrong := [
            *fit.missing,
            *(f"{name} is {format_shape(a)}, needs {format_shape(b)}" for name, a, b in fit.reshaped),
        ]:
            raise UserError(
                f"{self.origin} does not fit {self.name}: missing or of another shape: {shorten(wrong)}"
                f"{self._remedy(network)}"
            )
        if extra := _left_over(fit, key_maps):
            raise UserError(
                f"{self.origin} does not fit {self.name}, which has no place for {shorten(extra)}; is it of "
                f"a larger "
                "network? name that one with --model"
            )
        return network, fit

    def _remedy(self, network: Network) -> str:
        if len(self.mean) < network.spec.input_shape[0]:
            return "; they are for grey images: --set data.channels=1"
        return (
            "; for images of up to 64 pixels it has another stem, see data.size" if network.spec.small else ""
        )


def describe(fit: LoadReport) -> str:
    """How a body's weights fitted, for a person who did not ask.

    >>> describe(LoadReport("torchvision", ("body.stem.0.bias",), ("body.stem.0.weight",), (), ("fc.bias",), ()))
    'all 2 tensors of the body (torchvision names; colours added up for grey images); the head is new'
    """
    grey = "; colours added up for grey images" if fit.adapted else ""
    return f"all {len(fit.loaded) + len(fit.adapted)} tensors of the body ({fit.layout} names{grey}); the head is new"


def bytes_of(value: Tensor) -> memoryview:
    """The bytes of a tensor of any type, row after row."""
    return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def open_pretrained(word: str, *, model: str | None = None) -> Pretrained:
    """The trained network that `word` means.

    `word`: a network of `convscope summary` (in the package, or torchvision's weights for it),
    "torchvision:NAME", "timm:NAME", a run folder or bundle, or a weight file (.safetensors, .npz, .pth). A
    folder with the name of a network is meant by ./NAME. `model` says which network the weights are for,
    where the word does not. Weights that are not on this machine are downloaded into the cache.

    Raises UserError for an unknown word and Failure where a download does not work.

    >>> weights = open_pretrained("squeezenet1_0")
    >>> net, fit = weights.build(input_shape=(3, 227, 227), classes=6)
    >>> weights.size, len(fit.loaded), fit.missing
    ((227, 227), 50, ())
    """
    program, colon, name = word.partition(":")
    if colon and program in ("torchvision", "timm"):
        network = model or name.partition(".")[0]
        if network not in networks:
            raise UserError(
                f"--pretrained {word} does not say which network of the list it is; add --model NAME"
            )
        return _from_torchvision(name, network) if program == "torchvision" else _from_timm(name, network)
    if word in networks:
        if model not in (None, word):
            raise UserError(
                f"--pretrained {word} are weights of {word}, and --model says {model}; leave one of them out"
            )
        return _shipped(word) if word in SHIPPED else _from_torchvision(word, word)
    path = Path(word)
    if not word.strip() or not is_there(path):
        raise _nowhere(word)
    return _from_bundle(path, model) if path.is_dir() or _is_bundle(path) else _from_file(path, model)


def canonical_reference(word: str) -> str:
    """The word as it holds from every folder: a path in full, a name as it is.

    >>> canonical_reference("squeezenet1_0")
    'squeezenet1_0'
    """
    return str(Path(word).resolve()) if word not in networks and is_there(Path(word)) else word


def _nowhere(word: str) -> UserError:
    path = Path(word)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        return UserError(
            f"there is no run or weight file at {word}; give back what was there, or say --pretrained anew"
        )
    return unknown_name("trained network (nor file or run)", word, [*networks])


def _left_over(fit: LoadReport, key_maps: KeyMaps) -> list[str]:
    """The names that would lie in the body if it were larger: ResNet-34 holds every tensor of ResNet-18."""
    renames = ((WRAPPER, ""), *key_maps.get(fit.layout, ()))
    return [name for name in fit.unexpected if renamed(name, renames).startswith("body.")]


def _shipped(name: str) -> Pretrained:
    side, origin = SHIPPED[name]
    place = files("convscope.models.pytorch") / "shipped" / f"{name}.npz"
    return Pretrained(name, origin, read_tensors(Path(str(place))), (side, side))


def _is_bundle(path: Path) -> bool:
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return "convscope" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _from_bundle(path: Path, model: str | None) -> Pretrained:
    bundle, place = Bundle.load(path), find_bundle(path)
    own = bundle.model["name"]
    name = model or own
    if name not in networks:
        raise UserError(
            f"{place} holds weights of the own network {own!r}; transfer needs one of `convscope summary`"
        )
    if own in networks and name != own:
        raise UserError(f"{place} holds weights of {own}, and --model says {name}; leave --model out")
    preprocess = Preprocess.from_dict(bundle.preprocess)
    return Pretrained(
        name,
        f"the run {path}",
        {key: torch.from_numpy(value) for key, value in bundle.weights.items()},
        (preprocess.height, preprocess.width),
        preprocess.mean,
        preprocess.std,
        bundle.model["options"],
    )


def _from_file(path: Path, model: str | None) -> Pretrained:
    tensors = read_tensors(path)
    if model is None:
        raise UserError(f"{path} holds weights and no word on the network they are for; add --model NAME")
    _, height, width = networks[model].spec.input_shape
    return Pretrained(model, f"the file {path}", tensors, (height, width), *_published_statistics(model))


def _published_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    symmetric = (0.5,) * 3
    return (symmetric, symmetric) if name in SYMMETRIC else (IMAGENET_MEAN, IMAGENET_STD)


def _from_torchvision(name: str, network: str) -> Pretrained:
    from convscope.models.pytorch.torchvision_cpu import import_torchvision

    models = import_torchvision().models
    known = models.list_models(module=models)  # those that classify
    if name not in known:
        guess = None if name in networks else nearest(name, known, cutoff=0.8)
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
    return Pretrained(
        network, f"torchvision's {weights}", tensors, (side, side), *_published_statistics(name)
    )


def _from_timm(name: str, network: str) -> Pretrained:
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
    return Pretrained(network, f"timm's {name}", built.state_dict(), (height, width), cfg["mean"], cfg["std"])


def _no_download(what: str, place: str, folder: Path, problem: Exception, network: str) -> Failure:
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return Failure(
        f"{what} are not in {folder} and could not be downloaded ({reason}); "
        f"get them from {place} on a machine with a network, and give the file: --pretrained FILE --model "
        f"{network}"
    )
