"""The Model contract: a network is named stages, then a head. Every network of Convscope is one of these."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NoReturn

from torch import Tensor, nn

from convscope.core.errors import ShapeError, UserError
from convscope.models.pytorch.heads import MakeHead, linear_head
from convscope.models.pytorch.shapes import explain, last_map
from convscope.models.spec import ModelSpec
from convscope.models.spec_text import format_shape


class Network(nn.Module):
    """Stages that turn an image into maps, and a head that turns the last map into one logit a class.

    `spec` says what it is, `stages` names its parts in order, `features` gives the maps between them,
    `forward` the logits. The head is made by `head(C, H, W)` from the shape that the last stage gives for a
    blank image of `spec.input_shape`, so no network has its input size built in. `body` holds the stages'
    weights and `head` those of the head, apart, so that either can be frozen or replaced alone. `auxiliary`
    are heads on stages before the last, by the stage's name; only training uses them.

    >>> spec = ModelSpec("tiny", input_shape=(3, 8, 8), classes=2)
    >>> stages = {"stage1": nn.Conv2d(3, 4, 3), "stage2": nn.MaxPool2d(2)}
    >>> net = Network(spec, stages, lambda c, h, w: nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 2)))
    >>> import torch
    >>> {name: tuple(maps.shape) for name, maps in net.features(torch.zeros(1, 3, 8, 8)).items()}
    {'stage1': (1, 4, 6, 6), 'stage2': (1, 4, 3, 3)}
    """

    spec: ModelSpec
    head: nn.Module
    auxiliary: nn.ModuleDict

    def __init__(
        self,
        spec: ModelSpec,
        stages: Mapping[str, nn.Module],
        head: MakeHead,
        *,
        auxiliary: Mapping[str, MakeHead] | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.body = nn.Sequential(OrderedDict(stages))
        # Transfer learning reads standardised means, whatever head the body was trained under.
        make = linear_head(spec.classes) if spec.head == "linear" else head
        self.head = make(*last_map(spec.name, self.body, spec.input_shape))
        self.auxiliary = nn.ModuleDict()
        # Fresh auxiliary heads would pull at a trained body, so a linear head goes without.
        wanted = auxiliary if auxiliary and spec.head == "own" else {}
        for stage, make_auxiliary in wanted.items():
            until = self.body[: list(stages).index(stage) + 1]
            self.auxiliary[stage] = make_auxiliary(*last_map(spec.name, until, spec.input_shape))

    @property
    def stages(self) -> dict[str, nn.Module]:
        """The parts by name, in the order in which an image passes them; the head is not among them."""
        return dict(self.body.named_children())

    @property
    def pipeline(self) -> nn.Module:
        """All layers in order, as one module that leaves torch's errors as they are."""
        return nn.Sequential(OrderedDict([*self.stages.items(), ("head", self.head)]))

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The maps N×C×H×W that each stage gives for images N×C×H×W, by the stage's name.

        In training mode the logits N×K of auxiliary heads come after them, as `auxiliary.STAGE`.
        """
        self.check_rank(x)
        maps: dict[str, Tensor] = {}
        here = x
        try:
            for name, stage in self.body.named_children():
                here = maps[name] = stage(here)
        except RuntimeError as problem:
            self.explain_failure(x, problem)
        # At evaluation they cost time and nobody reads them.
        if self.training:
            maps |= {f"auxiliary.{name}": head(maps[name]) for name, head in self.auxiliary.items()}
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×K for normalised images, float N×C×H×W; ShapeError names the layer they do not fit."""
        self.check_rank(x)
        try:
            logits: Tensor = self.head(self.body(x))
        except RuntimeError as problem:
            self.explain_failure(x, problem)
        return logits

    def check_rank(self, x: Tensor) -> None:
        """ShapeError unless `x` has the axes N×C×H×W; a convolution would take a single image, too."""
        if x.ndim != 4:
            remedy = "; for one image use x.unsqueeze(0)" if x.ndim == 3 else ""
            needs = f"it needs a batch N×{format_shape(self.spec.input_shape)}"
            raise ShapeError(
                f"{self.spec.name} got an array of shape {format_shape(x.shape)}; {needs}{remedy}"
            )

    def explain_failure(self, x: Tensor, problem: RuntimeError) -> NoReturn:
        """Raise what was wrong with `x` in words; where its shape and type were right, raise `problem` again.

        The layer is found by sending a blank image of the same shape through once more, so a forward pass
        that succeeds pays nothing for the explanation.
        """
        name = self.spec.name
        # torch says "Input type (unsigned char) and bias type (float) should be the same".
        if not x.is_floating_point():
            raise UserError(
                f"{name} got {x.dtype} images; it needs floats: normalise them first"
            ) from problem
        reason = explain(self.pipeline, x.shape[1:])
        if reason is None:
            raise problem
        raise ShapeError(
            f"{name} was built for {format_shape(self.spec.input_shape)} images and got "
            f"{format_shape(x.shape[1:])}: {reason}"
        ) from problem


def forward_with_aux(network: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The logits of any network, and of a Network's auxiliary heads, which only training mode has.

    Args:
        network: any module that gives logits N×K.
        x: normalised images, float N×C×H×W.

    Returns:
        Logits N×K, and a list of as many more, one of each auxiliary head.
    """
    if not isinstance(network, Network) or not network.auxiliary:
        return network(x), []
    outputs = network.features(x)
    stages = list(network.stages)
    auxiliary = [logits for name, logits in outputs.items() if name not in stages]
    return network.head(outputs[stages[-1]]), auxiliary
