from __future__ import annotations

import os
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.core.errors import Failure, UserError
from convscope.data.dataset import ArrayDataset, FileDataset, Subset
from convscope.data.preparing import prepared as prepared_module
from convscope.data.preparing.prepared import Prepared, cache_limit, prepare_dataset
from convscope.data.preparing.preprocess import Preprocess

SMALL = Preprocess(3, 8, 8)


def folder_of(root: Path, count: int = 5) -> FileDataset:
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (9 + i, 12, 3), np.uint8)).save(root / f"{i}é.png")
    return FileDataset(tuple(f"{i}é.png" for i in range(count)), np.arange(count) % 2, ("cat", "dog"), root)


def files_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("images.u8"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that were prepared."""
    names: list[str] = []
    honest = Preprocess.prepare

    def prepare(self: Preprocess, image: object, *, name: str | None = None) -> np.ndarray:
        names.append(str(name))
        return honest(self, image, name=name)  # type: ignore[arg-type]

    monkeypatch.setattr(Preprocess, "prepare", prepare)
    return names


def expect(found: Prepared, dataset: FileDataset, preprocess: Preprocess, kept: list[int]) -> None:
    np.testing.assert_array_equal(found.images, [preprocess.prepare(dataset.path(i)) for i in kept])
    np.testing.assert_array_equal(found.targets, dataset.labels[kept])
    np.testing.assert_array_equal(found.kept, kept)
    assert found.names == tuple(dataset.paths[i] for i in kept)
    assert len(found) == len(kept)


def test_an_array_that_fits_is_not_copied(tmp_path: Path) -> None:
    dataset = ArrayDataset(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 0]), ("cat", "dog"), "train")
    found = prepare_dataset(dataset, SMALL, cache=tmp_path)
    assert found.images is dataset.images
    assert found.names == ("train#0", "train#1", "train#2")
    assert list(tmp_path.iterdir()) == []


def test_other_arrays_are_prepared_into_memory(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 10, 12, 1), np.uint8)
    dataset = ArrayDataset(images, np.array([0, 1, 0]), ("cat", "dog"))
    for given, which in ((dataset, [0, 1, 2]), (Subset(dataset, np.array([2, 0])), [2, 0])):
        found = prepare_dataset(given, SMALL, cache=tmp_path)
        np.testing.assert_array_equal(found.images, [SMALL.prepare(images[i]) for i in which])
    assert list(tmp_path.iterdir()) == []


def test_files_are_decoded_once(tmp_path: Path, decoded: list[str]) -> None:
    dataset = folder_of(tmp_path / "photos")
    steps: list[tuple[str, int, int]] = []
    first = prepare_dataset(dataset, SMALL, cache=tmp_path / "c", progress=lambda *step: steps.append(step))
    assert steps == [("decode", i, 5) for i in range(1, 6)]
    assert sorted(decoded) == list(dataset.paths)
    decoded.clear()
    again = prepare_dataset(
        dataset, Preprocess(3, 8, 8, "crop", (0.1,) * 3, (0.2,) * 3), cache=tmp_path / "c"
    )
    assert decoded == []
    np.testing.assert_array_equal(first.images, again.images)
    expect(again, dataset, SMALL, [0, 1, 2, 3, 4])
    assert isinstance(again.images, np.memmap)


def test_geometry_files_and_parts_have_entries_of_their_own(tmp_path: Path, decoded: list[str]) -> None:
    dataset = folder_of(tmp_path / "photos")
    for preprocess in (SMALL, Preprocess(1, 8, 8), Preprocess(3, 8, 8, "pad"), Preprocess(3, 8, 9)):
        decoded.clear()
        prepare_dataset(dataset, preprocess, cache=tmp_path / "c")
        assert len(decoded) == 5
    decoded.clear()
    assert len(prepare_dataset(Subset(dataset, np.array([1, 3])), SMALL, cache=tmp_path / "c")) == 2
    assert len(decoded) == 2
    decoded.clear()
    os.utime(tmp_path / "photos" / dataset.paths[0], ns=(1, 1))
    prepare_dataset(dataset, SMALL, cache=tmp_path / "c")
    assert len(decoded) == 5


def test_bad_images_are_left_out_and_named(tmp_path: Path) -> None:
    dataset = folder_of(tmp_path / "photos")
    (tmp_path / "photos" / dataset.paths[0]).write_bytes(b"")
    whole = (tmp_path / "photos" / dataset.paths[2]).read_bytes()
    (tmp_path / "photos" / dataset.paths[2]).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photos" / dataset.paths[4]).unlink()
    reasons = ["the file has 0 bytes", "the file is cut short", "there is no such file"]
    for _ in range(2):
        found = prepare_dataset(dataset, SMALL, cache=tmp_path / "c")
        expect(found, dataset, SMALL, [1, 3])
        assert found.failed == tuple((dataset.paths[i], r) for i, r in zip([0, 2, 4], reasons, strict=True))


def test_an_image_that_can_be_read_again_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = folder_of(tmp_path / "photos")

    def locked(self: FileDataset, index: int) -> bytes:
        if index == 1:
            raise PermissionError(13, "Permission denied")
        return self.path(index).read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr(FileDataset, "encoded", locked)
        found = prepare_dataset(dataset, SMALL, cache=tmp_path / "c")
        assert found.failed == ((dataset.paths[1], "no permission to read it"),)
    expect(prepare_dataset(dataset, SMALL, cache=tmp_path / "c"), dataset, SMALL, [0, 1, 2, 3, 4])


def test_a_file_that_vanishes_while_others_are_decoded(tmp_path: Path) -> None:
    dataset = folder_of(tmp_path / "photos")
    last = tmp_path / "photos" / dataset.paths[4]
    honest = dataset.encoded

    def vanish(self: FileDataset, index: int) -> bytes:
        last.unlink(missing_ok=True)
        return honest(index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileDataset, "encoded", vanish)
        found = prepare_dataset(dataset, SMALL, cache=tmp_path / "c")
    assert [name for name, _ in found.failed] == [dataset.paths[4]]


def test_no_readable_image_is_an_error_that_names_one(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    dataset = FileDataset(("a.jpg",), np.array([0]), ("cat",), tmp_path)
    with pytest.raises(UserError, match=r"none of the 1 images .* a\.jpg: not an image"):
        prepare_dataset(dataset, SMALL, cache=tmp_path / "c")
    assert files_below(tmp_path) == []
    with pytest.raises(UserError, match="no image to prepare"):
        prepare_dataset(Subset(dataset, np.array([], np.int64)), SMALL)


def test_a_dataset_of_ones_own(tmp_path: Path) -> None:
    class Own:
        classes = ("cat", "dog")
        labels = (0, 1, 1)

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            if index == 1:
                raise OSError("camera is off")
            return np.full((9, 9, 3), index, np.uint8), self.labels[index]

    found = prepare_dataset(Own(), SMALL)
    assert found.images[:, 0, 0, 0].tolist() == [0, 2]
    assert found.failed == (("#1", "the file is damaged (camera is off)"),)


def test_an_encoded_dataset_without_a_fingerprint_is_known_by_its_bytes(
    tmp_path: Path, decoded: list[str]
) -> None:
    class Cells:
        classes = ("cat",)
        labels = (0,)
        shade = 1

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            raise AssertionError

        def name(self, index: int) -> str:
            return "cell"

        def encoded(self, index: int) -> bytes:
            stream = BytesIO()
            Image.new("RGB", (8, 8), (self.shade,) * 3).save(stream, "PNG")
            return stream.getvalue()

    cells = Cells()
    for shade, times in ((1, 1), (1, 1), (2, 2)):
        cells.shade = shade
        assert prepare_dataset(cells, SMALL, cache=tmp_path).images.max() == shade
        assert len(decoded) == times


def test_the_limit_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = folder_of(tmp_path / "photos")
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("CONVSCOPE_CACHE_LIMIT_GB", "0.0000001")
    assert cache_limit() == 100
    with pytest.raises(UserError, match="CONVSCOPE_CACHE_LIMIT_GB"):
        prepare_dataset(dataset, SMALL)
    monkeypatch.delenv("CONVSCOPE_CACHE_LIMIT_GB")
    assert cache_limit() == prepared_module.CACHE_LIMIT_GB * 1e9
    prepare_dataset(dataset, SMALL)
    assert len(files_below(tmp_path / "elsewhere")) == 1
    for wrong in ("much", "inf", "nan"):
        monkeypatch.setenv("CONVSCOPE_CACHE_LIMIT_GB", wrong)
        with pytest.raises(UserError, match=f"{wrong}.*allowed: a number"):
            cache_limit()


def test_small_limits_keep_only_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convscope.data.preparing import pixel_cache

    dataset = folder_of(tmp_path / "photos")
    for side in (6, 7, 8):
        monkeypatch.setattr(pixel_cache, "_in_use", set())
        prepare_dataset(dataset, Preprocess(3, side, side), cache=tmp_path / "c", limit_bytes=1200)
    assert len(files_below(tmp_path / "c")) == 1


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVSCOPE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")


@pytest.mark.usefixtures("no_cache")
def test_without_a_cache_a_temporary_file_does_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = folder_of(tmp_path / "photos")
    (tmp_path / "photos" / dataset.paths[1]).write_bytes(b"")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    found = prepare_dataset(dataset, SMALL)
    expect(found, dataset, SMALL, [0, 2, 3, 4])
    assert isinstance(found.images, np.memmap)
    assert [name for name, _ in found.failed] == [dataset.paths[1]]
    (note,) = found.notes
    assert "decoded anew" in note and "cannot be written" in note and "set CONVSCOPE_CACHE" in note
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.usefixtures("no_cache")
def test_without_a_home_folder_a_temporary_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    (note,) = prepare_dataset(folder_of(tmp_path / "photos"), SMALL).notes
    assert "no home folder" in note


@pytest.mark.usefixtures("no_cache")
def test_a_named_cache_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = folder_of(tmp_path / "photos")
    with pytest.raises(UserError, match="cannot be written"):
        prepare_dataset(dataset, SMALL, cache=Path("/dev/null/c"))
    monkeypatch.setenv("CONVSCOPE_CACHE", "/dev/null/c")
    with pytest.raises(UserError, match="cannot be written"):
        prepare_dataset(dataset, SMALL)


@pytest.mark.usefixtures("no_cache")
def test_no_folder_at_all_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(Failure, match="a temporary file will not do either"):
        prepare_dataset(folder_of(tmp_path / "photos"), SMALL)
