"""A custom model: any torch module, from a person's file or from Python, behind the Model contract.

A file is only ever run because somebody named it: `--model my_net.py:Net`. A bundle stores its path and
SHA-256 for the record, never its code.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from convscope.core.errors import ShapeError, UserError, unknown_name
from convscope.models.pytorch.hooks import are_maps, eval_mode, forward_hooks
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import dummy_input, explain
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.references import is_custom_model
from convscope.models.spec import ModelSpec, check_shape
from convscope.models.spec_text import format_shape


class CustomModel(Network):
    """Any module as a Network: its stages are those of its top-level children that give maps N×C×H×W.

    Made by `wrap_custom_model` and `load_custom_model`. Weights have the names that the module gives them,
    after "module.".
    """

    def __init__(self, spec: ModelSpec, module: nn.Module, stages: Sequence[str]) -> None:
        # Not Network's: a module that exists has its stages and its head already.
        nn.Module.__init__(self)
        self.spec = spec
        self.module = module
        self.auxiliary = nn.ModuleDict()  # nobody knows which outputs of a custom model would be that
        self._names = tuple(stages)

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The children that give maps, by their dotted names, in the order in which they are called."""
        return {name: self.module.get_submodule(name) for name in self._names}

    @property
    def pipeline(self) -> nn.Module:
        """The module itself."""
        return self.module

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The maps N×C×H×W that each stage gives for images N×C×H×W; its last call counts."""
        self.check_rank(x)
        try:
            maps = _outputs(self.module, self.stages, x)
        except RuntimeError as problem:
            self.explain_failure(x, problem)
        return {name: maps[name] for name in self._names}

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×K for normalised images, float N×C×H×W; ShapeError names the layer they do not fit."""
        self.check_rank(x)
        try:
            logits: Tensor = self.module(x)
        except RuntimeError as problem:
            self.explain_failure(x, problem)
        return logits


def load_custom_model(reference: str, *, input_shape: Sequence[int], classes: int) -> Network:
    """The network that "FILE.py:CLASS" names. This runs the file.

    Args:
        reference: the file and a class or function in it, which is called with those of `in_channels=C` and
            `classes=K` (or `num_classes=K`) that it takes, and with nothing else.
        input_shape: (C, H, W) of the images.
        classes: K, how many logits the network is to give.

    Raises:
        UserError: the file, the class or its arguments are wrong.
        ShapeError: such images do not fit, or the network does not give K logits for each.
    """
    text, _, name = reference.rpartition(":")
    path = Path(text)
    if not is_custom_model(reference) or not text.endswith(".py") or not name:
        raise UserError(
            f"{reference!r} does not say which network; write FILE.py:CLASS, such as my_net.py:Net"
        )
    if not path.is_file():
        raise UserError(f"there is no file {path}; give the path of the file that holds {name}")
    # Read once: what is run and what is hashed are the same bytes.
    source = path.read_bytes()
    namespace = _run(path, source)
    makers = {k: v for k, v in vars(namespace).items() if _makes_networks(v, namespace.__name__)}
    if name not in makers:
        raise unknown_name(f"network class in {path}", name, makers)
    module = construct(makers[name], f"{path}:{name}", input_shape=check_shape(input_shape), classes=classes)
    return wrap_custom_model(
        module,
        input_shape=input_shape,
        classes=classes,
        name=name,
        source=str(path.resolve()),
        source_sha256=hashlib.sha256(source).hexdigest(),
    )


def wrap_custom_model(
    module: object,
    *,
    input_shape: Sequence[int],
    classes: int,
    name: str | None = None,
    source: str = "",
    source_sha256: str = "",
) -> Network:
    """`module` as a Network, tried on two blank images; one that is a Network already comes back as it is.

    Args:
        module: an nn.Module that gives logits N×K for images N×C×H×W.
        input_shape: (C, H, W) of the images.
        classes: K.
        name: what to call it; left out, its class.
        source: the file it is from, for the record.
        source_sha256: of that file, 64 hexadecimal digits.

    Raises:
        UserError: it is no nn.Module.
        ShapeError: such images do not fit, or it does not give one row of K logits for each.

    >>> own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    >>> net = wrap_custom_model(own, input_shape=(3, 8, 8), classes=5)
    >>> list(net.stages), net.spec.name
    (['0'], 'Sequential')
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"a network must be a torch.nn.Module and this is a {type(module).__name__}")
    name = name or (module.spec.name if isinstance(module, Network) else type(module).__name__)
    shape = check_shape(input_shape)
    logits, stages = _try_out(module, name, shape)
    if not isinstance(logits, Tensor):
        raise ShapeError(
            f"{name} gave a {type(logits).__name__}; it must give one tensor of logits N×{classes}"
        )
    if tuple(logits.shape) != (2, classes):
        raise ShapeError(
            f"{name} gave {format_shape(logits.shape)} for 2 images; {classes} classes need 2×{classes}: "
            "let its last layer give one number a class"
        )
    if isinstance(module, Network):
        return module
    spec = ModelSpec(
        name,
        title=name,
        idea="a network of one's own",
        input_shape=shape,
        classes=classes,
        source=source,
        source_sha256=source_sha256,
    )
    return CustomModel(spec, module, stages)


def _try_out(module: nn.Module, name: str, shape: tuple[int, int, int]) -> tuple[Any, list[str]]:
    """The output for two blank images, and the names of the children that gave maps on the way.

    A module that is a mere cover of another (one child, no maps) is looked into.
    """
    # Two: what takes the mean over a batch, or loses its axis, shows only then.
    images = dummy_input(module, shape).repeat(2, 1, 1, 1)
    try:
        with eval_mode(module):
            output = module(images)
            prefix, parent = "", module
            # As deep as covers go: a module without children ends it.
            while True:
                children = {prefix + n: child for n, child in parent.named_children()}
                maps = _outputs(module, children, images)
                if maps or len(children) != 1:
                    return output, list(maps)
                ((prefix, parent),) = children.items()
                prefix += "."
    except ShapeError:  # a Network inside has said which layer it was
        raise
    except Exception as problem:
        reason = explain(module, shape) or f"{type(problem).__name__}: {problem}"
        raise ShapeError(f"{name} does not take {format_shape(shape)} images: {reason}") from problem


def _outputs(module: nn.Module, parts: Mapping[str, nn.Module], x: Tensor) -> dict[str, Tensor]:
    """The maps that `parts` of `module` give for `x`, in the order in which they are called first."""
    maps: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> None:
        if are_maps(output):
            maps[name] = output

    # No copies, unlike `layer_maps`: a layer that writes in place is part of what the person built.
    with forward_hooks(parts, keep):
        module(x)
    return maps


def _run(path: Path, source: bytes) -> ModuleType:
    """The names that the file defines; imports look in its own folder first, as when Python runs it."""
    allow_torchvision()
    # A name of its own, so that a file called torch.py does not take torch's place.
    namespace = ModuleType(f"convscope_own_{path.stem}")
    namespace.__file__ = str(path)
    sys.modules[namespace.__name__] = namespace  # dataclasses and pickles look a module up there
    sys.path.insert(0, str(path.resolve().parent))
    try:
        exec(compile(source, str(path), "exec"), vars(namespace))
    except Exception as problem:
        del sys.modules[namespace.__name__]
        line = f" (line {problem.lineno})" if isinstance(problem, SyntaxError) else ""
        raise UserError(f"{path} cannot be run: {type(problem).__name__}: {problem}{line}") from problem
    finally:
        sys.path.remove(str(path.resolve().parent))
    return namespace


def _makes_networks(value: Any, module_name: str) -> bool:
    """A class of networks, also an imported one, or a function that the file itself defines."""
    if inspect.isclass(value):
        return issubclass(value, nn.Module) and value is not nn.Module
    return inspect.isfunction(value) and value.__module__ == module_name


def construct(maker: Callable[..., Any], what: str, *, input_shape: Sequence[int], classes: int) -> nn.Module:
    """The module that `maker` makes.

    Args:
        maker: a class or function; called with those of in_channels, classes and num_classes that it takes.
        what: its name, for errors.
        input_shape: (C, H, W) of the images.
        classes: K, how many logits it is to give.

    Raises:
        UserError: it demands more, fails, or gives something else than a module.
    """
    # Both words are common: torchvision and timm say num_classes.
    offered = {"in_channels": input_shape[0], "classes": classes, "num_classes": classes}
    parameters = inspect.signature(maker).parameters
    if demanded := [name for name, p in parameters.items() if name not in offered and _is_demanded(p)]:
        raise UserError(
            f"{what} demands {', '.join(demanded)}, and only in_channels={input_shape[0]} and "
            f"classes={classes} are passed to what takes them; give the others defaults"
        )
    kwargs = {name: value for name, value in offered.items() if name in parameters}
    try:
        module = maker(**kwargs)
    except Exception as problem:
        shown = ", ".join(f"{name}={value}" for name, value in kwargs.items())
        raise UserError(
            f"{what} failed when called with ({shown}): {type(problem).__name__}: {problem}"
        ) from problem
    if not isinstance(module, nn.Module):
        raise UserError(f"{what} gave a {type(module).__name__}; it must give a torch.nn.Module")
    return module


def _is_demanded(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic
