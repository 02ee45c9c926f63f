"""A run, opened once and handed on: its bundle, its classifier, and images of its own data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convscope.core.bundle import Bundle, find_bundle
from convscope.core.contracts import Progress, Tell
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.source import open_source
from convscope.inference.classifier import Classifier, Inputs, check_finite, named_images
from convscope.inference.load import classifier_of
from convscope.inference.run_data import open_prepared

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """The bundle of a run in `folder`, its classifier, and where images come from: `data`, else what it
    learned from.

    `tell(what, done, total)` is called as work goes on.
    """

    bundle: Bundle
    folder: Path
    classifier: Classifier
    data: str | Path | None = None
    tell: Tell | None = None

    @cached_property
    def opened(self) -> tuple[str, PreparedSplit]:
        """Where the images are from, in words, and the images: the validation split, unless the data have
        none.

        Validation and not test: what is seen here may well change what is done next.
        """
        split = "validation"
        if self.data is not None and split not in (splits := open_source(self.data).split_names):
            split = "test" if "test" in splits else splits[0]
        name, split, part = open_prepared(self.bundle, self.folder, self.data, split=split, tell=self.tell)
        return (f"all of {name}" if split == "all" else f"the {split} split of {name}"), part

    def subsample(self, count: int) -> tuple[str, PreparedSplit]:
        """At most `count` images spread evenly over all, and where they are from."""
        words, part = self.opened
        if len(part) <= count:
            return words, part
        return f"{count:,} images spread over {words}", part.subsample(count)

    def prepared(self, images: Inputs) -> tuple[list[str], NDArray[np.uint8]]:
        """The names and pixels, uint8 N×H×W×C, of images that a person names; errors are those of
        `named_images`.
        """
        found = [
            (name, self.classifier.preprocess.prepare(image, name=name))
            for name, image in named_images(images)
        ]
        pixels = np.array([pixels for _, pixels in found], np.uint8)
        return [name for name, _ in found], pixels.reshape(-1, *self.classifier.preprocess.shape)

    def telling(self, what: str) -> Progress | None:
        """`tell` for one kind of work."""
        tell = self.tell
        return (lambda done, total: tell(what, done, total)) if tell else None


def open_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    tell: Tell | None = None,
) -> OpenedRun:
    """Open a run folder or a bundle; the arguments and errors are those of `evaluate`.

    Raises Failure for a network that answers with NaN or infinity: there is nothing in it to look at.
    """
    path = find_bundle(Path(run))
    bundle = Bundle.load(path)
    classifier = classifier_of(bundle, model)
    check_finite(classifier.predict(np.full((1, *classifier.preprocess.shape), 128, np.uint8)))
    return OpenedRun(bundle, path.parent, classifier, data, tell)
