from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.core.contracts import Predictor
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.preparing.decode import UnreadableImage
from convscope.data.preparing.preprocess import Preprocess
from convscope.inference.classifier import BATCH, Classifier, named_images


class Brightness:
    """Answers with the tenth of the brightness; remembers the sizes of the batches it was asked for."""

    classes = tuple(f"tenth {i}" for i in range(10))

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (8, 8, 1)
        self.batches.append(len(images))
        tenth = np.minimum(images.mean(axis=(1, 2, 3)) / 25.6, 9).astype(int)
        return np.eye(10, dtype=np.float32)[tenth] * 5


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(Brightness(), Preprocess(1, 8, 8), Decision())


def grey(tenth: int, size: tuple[int, ...] = (9, 11)) -> np.ndarray:
    return np.full(size, int(25.6 * tenth + 12), np.uint8)


def png(tenth: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(grey(tenth)).save(file, "png")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b/2.png, a/1.PNG, a text file, a hidden folder and an image that is none."""
    for name, content in {
        "b/2.png": png(2),
        "a/1.PNG": png(1),
        "notes.txt": b"not an image",
        ".hidden/9.png": png(9),
        "c/broken.png": png(3)[:40],
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def tenths(answers) -> list[int | None]:
    return [None if a.label is None else int(a.label.split()[1]) for a in answers]


def test_a_classifier_is_a_predictor(classifier):
    assert isinstance(classifier, Predictor)
    assert classifier.classes == Brightness.classes
    assert classifier.predict(np.zeros((2, 8, 8, 1), np.uint8)).shape == (2, 10)


def test_every_form_of_one_image_gives_one_answer(classifier, tmp_path):
    path = tmp_path / "four.png"
    path.write_bytes(png(4))
    forms = [
        path,
        str(path),
        png(4),
        Image.fromarray(grey(4)),
        grey(4),
        grey(4, (9, 11, 1)),
        grey(4, (9, 11, 3)),
    ]
    for form in forms:
        (alone,) = classifier.classify(form)
        assert alone.label == "tenth 4"
    assert tenths(classifier.classify(forms)) == [4] * len(forms)


def test_a_batch_array_is_many_images(classifier):
    images = np.stack([grey(t, (12, 12, 1)) for t in (7, 0, 3)])
    assert tenths(classifier.classify(images)) == [7, 0, 3]


def test_a_folder_is_answered_in_order_and_a_broken_image_says_why(classifier, folder):
    got = classifier.classify(folder)
    assert [Path(a.name).name for a in got] == ["1.PNG", "2.png", "broken.png"]
    assert tenths(got) == [1, 2, None]
    assert got[2].error
    assert got[0].error is None
    assert got[0].probability == pytest.approx(np.exp(5) / (np.exp(5) + 9))


def test_files_folders_and_generators_mix(classifier, folder):
    inputs = (item for item in [folder / "b" / "2.png", folder, png(8)])
    assert tenths(classifier.classify(inputs)) == [2, 1, 2, None, 8]


def test_only_broken_images_ask_the_network_nothing(classifier, folder):
    assert tenths(classifier.classify([folder / "c", b"no image"])) == [None, None]
    assert classifier.predictor.batches == []


def test_a_file_with_a_foreign_ending_is_tried_and_explained(classifier, folder):
    (answer,) = classifier.classify(folder / "notes.txt")
    assert "not an image" in answer.error


def test_names_are_what_a_person_calls_them(tmp_path, folder):
    with Image.open(folder / "b" / "2.png") as opened:
        names = [name for name, _ in named_images([folder / "b", opened, grey(1), b"x"])]
    assert names == [str(folder / "b" / "2.png"), str(folder / "b" / "2.png"), "image 3", "image 4"]


def test_the_decision_makes_the_probabilities():
    (answer,) = Classifier(Brightness(), Preprocess(1, 8, 8), Decision(temperature=5.0)).classify(grey(4))
    assert answer.probability == pytest.approx(np.e / (np.e + 9))


def test_top_is_how_many_answers_come(classifier):
    assert len(classifier.classify(grey(1))[0].top) == 5
    assert len(classifier.classify(grey(1), top=2)[0].top) == 2


def test_it_streams_in_batches_and_holds_only_a_few_images(classifier):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield grey(taken % 10)

    stream = classifier.stream(endless())
    first = [next(stream) for _ in range(3 * BATCH)]
    assert tenths(first) == [(i + 1) % 10 for i in range(3 * BATCH)]
    assert classifier.predictor.batches == [BATCH] * 3
    assert taken < 3 * BATCH + 200  # what waits in the threads
    stream.close()


def test_a_missing_path_is_said_before_the_first_answer(classifier, folder):
    with pytest.raises(UserError, match=r"no file or folder at .*gone\.png"):
        next(classifier.stream([folder, folder / "gone.png"]))
    assert classifier.predictor.batches == []


@pytest.mark.parametrize("path", ["", "x" * 5000, "a\0b"])
def test_paths_that_cannot_be_are_missing(classifier, path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if path == "":
        with pytest.raises(UserError, match="holds no images"):  # the folder one stands in
            classifier.classify(path)
        return
    with pytest.raises(UserError, match="no file or folder"):
        classifier.classify(path)


def test_a_folder_without_images_is_explained(classifier, tmp_path):
    (tmp_path / "readme.md").write_text("hello")
    with pytest.raises(UserError, match=r"holds no images.*readme\.md"):
        classifier.classify(tmp_path)


@pytest.mark.parametrize("wrong", [7, None, [3.5], object()])
def test_what_is_no_image_is_refused(classifier, wrong):
    with pytest.raises(UserError, match="is not an image; allowed"):
        classifier.classify(wrong)


def test_an_array_of_another_type_is_refused(classifier):
    with pytest.raises(UserError, match="uint8"):
        classifier.classify(np.zeros((8, 8), np.float32))


def test_nothing_in_nothing_out(classifier):
    assert classifier.classify([]) == []


def test_it_needs_no_torch():
    modules = (
        "inference.opened_run",
        "tasks.classification.task",
        "evaluation.evaluate",
        "experiments.compare",
    )
    imports = "; ".join(f"import convscope.{module}" for module in modules)
    code = f"import sys; {imports}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_outputs_of_whatever_is_an_image_a_batch_at_a_time(classifier):
    images = [grey(tenth % 10) for tenth in range(BATCH + 3)]
    outputs = classifier.outputs(images)
    assert outputs.argmax(1).tolist() == [tenth % 10 for tenth in range(BATCH + 3)]
    assert classifier.predictor.batches == [BATCH, 3]
    assert classifier.outputs([]).shape == (0, 10)


def test_outputs_of_a_file_that_cannot_be_read_are_an_error(classifier):
    with pytest.raises(UnreadableImage, match="image 2"):
        classifier.outputs([png(1), png(1)[:40]])
