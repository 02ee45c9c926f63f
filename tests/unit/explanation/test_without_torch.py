"""Where only predictions are at hand, explaining them needs no torch: neither installed nor imported."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
sys.modules["torch"] = None  # an import of it fails from here on
import numpy as np
from convscope.core.decision import Decision
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.faithfulness.measure import Measure
from convscope.explanation.methods import methods
from convscope.explanation.feature_visualisation import views
from convscope.explanation import attacks, explain
from deciding_patch import PatchAnswers, patch_images

model, images = ExplainedModel(PatchAnswers(), Preprocess(1, 16, 16, mean=(0.3,))), patch_images(2)
targets = np.ones(2, np.int64)
measure = Measure(model, images, targets, decision=Decision())
for name in ("occlusion", "rise"):
    found = explain_images(model, images, methods[name], targets=targets)
    numbers = measure(found).mean()
    assert found.refused == (None, None) and numbers["score"] > 0 and numbers["road"] > 0
print("explained")
"""


def test_occlusion_rise_and_their_measures_run_without_torch():
    folder = __file__.rpartition("/unit/")[0]
    code = f"import sys\nsys.path.insert(0, {folder!r})\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("explained\n", "")
