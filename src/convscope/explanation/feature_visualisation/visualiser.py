"""What figures ask of an engine beside what its Probe gives; NumPy in, NumPy out, shapes as in `probe`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.probe import Floats
from convscope.models.receptive_field import Field, Pair


@dataclass(frozen=True)
class Channel:
    """Feature map `index` of `layer`, or where that is None the logit of class `index`, and its title."""

    layer: str | None
    index: int
    title: str

    def of(self, feature_maps: Mapping[str, Any], logits: Any) -> Any:
        """Its activation N×h×w, N×1×1 of a logit, from feature maps N×D×h×w by layer and logits N×K.

        Arrays and tensors will do. UserError where the layer is not among them, or has fewer channels.
        """
        if self.layer is None:
            # A logit as a map of one position, so that callers need no second case.
            return logits[:, self.index, None, None]
        if self.layer not in feature_maps:
            raise UserError(
                f"layer {self.layer!r} gives no feature maps N×D×h×w for these images; name another"
            )
        count = feature_maps[self.layer].shape[1]
        if self.index >= count:
            raise UserError(
                f"layer {self.layer!r} has {count} channels, no channel {self.index}; give 0 to {count - 1}"
            )
        return feature_maps[self.layer][:, self.index]


@dataclass(frozen=True, eq=False)
class LastFeatures:
    """The name of the last linear `layer`, the `features` N×F that it gets, and the `logits` N×K."""

    layer: str
    features: Floats
    logits: Floats


@runtime_checkable
class Visualiser(Protocol):
    """A Probe that also shows what a network learned."""

    def first_filters(self, inputs: Floats) -> tuple[str, Floats]:
        """The name of the first convolution that the inputs come to, and its filters F×C×h×w.

        UserError where there is none.
        """

    def last_features(self, inputs: Floats) -> LastFeatures:
        """What the last linear layer gets; without one, the means of the last stage's feature maps."""

    def receptive_fields(self, inputs: Floats, layers: Iterable[str]) -> dict[str, Field | None]:
        """The receptive field of each layer with feature maps, by windows and strides; None: all pixels."""

    def measured_fields(
        self, inputs: Floats, layers: Sequence[str], *, seed: int, progress: Progress | None
    ) -> dict[str, tuple[Pair, Floats]]:
        """By layer the size h×w of its feature maps, and the mean |gradient| H×W of their middle position.

        The gradient is that of a sum over the feature maps, with random signs drawn by `seed`; it has the sum
        1, or 0 where nothing reaches the position. UserError where no layer gives feature maps.
        """

    def maximise(
        self,
        channels: Sequence[Channel],
        preprocess: Preprocess,
        *,
        steps: int | None,
        seed: int,
        progress: Progress | None,
    ) -> Floats:
        """An image that activates each of U channels, U×H×W×C, 0 to 1; `steps` None for the usual number."""


def visualiser_of(model: ExplainedModel) -> Visualiser:
    """The engine's Visualiser; UserError where only predictions are at hand, or the engine has none."""
    probe = model.inside()
    # By its members: an engine need not derive from anything here.
    if not isinstance(probe, Visualiser):
        raise UserError(
            f"{type(probe).__name__} does not show what was learned but for --show maps; "
            "use that, or explain images with heat maps"
        )
    return probe
