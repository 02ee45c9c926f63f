"""A run, opened once and handed on: its bundle, its network, and images of its own data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convscope.core.bundle import Bundle, find_bundle
from convscope.core.contracts import Dataset
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.source import open_source
from convscope.data.targets import Targets
from convscope.inference.classifier import ImagePredictor, Inputs
from convscope.inference.load import Model, predictor_of
from convscope.inference.run_data import open_prepared


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """The bundle of a run in `folder`, and its network as a `predictor`.

    `data`: other images than those that the network was trained on; None for these. `progress(what, done,
    total)` is called as work goes on.
    """

    bundle: Bundle
    folder: Path
    predictor: ImagePredictor
    data: str | Path | None = None
    progress: Progress | None = None

    def images(
        self, split: str, targets: Callable[[Dataset], Targets] | None = None
    ) -> tuple[str, str, PreparedSplit]:
        """The prepared images of a split.

        Args:
            split: train, validation or test; of data that are not split, all images count.
            targets: what the network is to say of the images; their class labels by default.

        Returns:
            The name of the data, that of the split ("all" of data that are not split), and the images.

        Raises:
            UserError: the data, the split or the classes do not fit.
        """
        return open_prepared(
            self.bundle, self.folder, self.data, split=split, targets=targets, progress=self.progress
        )

    # Decoded once, however many views look at them.
    # On a frozen class, too: cached_property writes to __dict__, not through setattr.
    @cached_property
    def opened(self) -> tuple[str, PreparedSplit]:
        """Where images are from, in words, and the images: the validation split, unless the data have none.

        Validation and not test: what is seen here may well change what is done next.
        """
        split = "validation"
        if self.data is not None and split not in (splits := open_source(self.data).split_names):
            split = "test" if "test" in splits else splits[0]
        name, split, images = self.images(split)
        return (f"all of {name}" if split == "all" else f"the {split} split of {name}"), images

    def subsample(self, count: int) -> tuple[str, PreparedSplit]:
        """At most `count` images, evenly spaced over all, and where they are from."""
        source, images = self.opened
        if len(images) <= count:
            return source, images
        return f"{count:,} images spread over {source}", images.subsample(count)

    def prepared(self, images: Inputs) -> tuple[list[str], NDArray[np.uint8]]:
        """The names and pixels, uint8 N×H×W×C, of images that a person names, as `prepare` makes them."""
        return self.predictor.prepare(images)


def open_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    model: Model = None,
    progress: Progress | None = None,
) -> OpenedRun:
    """Open a run folder or a bundle.

    Args:
        run: the folder, or the file.
        data: other images, by name or path; nothing of them is opened here.
        model: for a custom model, as in `load`.
        progress: is called as images are decoded.

    Raises:
        UserError: there is no bundle, or it does not fit.
    """
    # The folder is where the file is: a run that was moved finds its own split.
    path = find_bundle(Path(run))
    bundle = Bundle.load(path)
    return OpenedRun(bundle, path.parent, predictor_of(bundle, model), data, progress)
