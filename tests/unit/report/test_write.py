"""The report where there is little to report on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.run.progress import Silent
from convscope.report.write import contents, write_report
from convscope.training.train import train_run
from no_drawing import undrawn


@pytest.fixture(scope="module")
def lonely(npz, tmp_path_factory):
    """A bundle that was copied away from its run folder."""
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        root = tmp_path_factory.mktemp("lonely")
        config = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(npz)}})
        run = train_run(config, out=root / "run", observer=Silent())
        return shutil.copy(run.folder / "bundle.safetensors", root / "alone.safetensors")


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("right", [True, False])
def test_of_a_bundle_alone_and_a_single_image(lonely, tmp_path, right):
    images, labels = small_data.pictures(1)
    data = tmp_path / "one.npz"
    np.savez(
        data, images=images, labels=labels if right else labels + 1, classes=np.array(small_data.CLASSES)
    )
    report = write_report(lonely, data, out=tmp_path / "out")
    page = report.path.read_text()
    assert report.evaluation.metrics.top1 == right
    sections = contents(report.evaluation.result.sections())
    assert len(sections) == 12 and all(f'<section id="{section.name}"' in page for section in sections)
    assert "1\xa0image." in page and "1 images" not in page and "1\xa0images" not in page
    assert ("No image is answered wrongly." in page) == right
    assert "There are no curves" in page and 'id="class-curves-' not in page
    assert "nobody knows how training went" in page
    assert "1 image cannot be laid out on a plane" in page
    assert "Numbers are images, the colour is their share of the row." in page
