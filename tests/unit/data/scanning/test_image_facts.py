from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from convscope.data.preparing.decode import UnreadableImage
from convscope.data.scanning.image_facts import THUMBNAIL, facts_of_array, facts_of_file

PICTURE = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize((40, 30))
)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "JPEG"),
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("1", "PNG"),
    ],
)
def test_modes_are_named(mode: str, form: str) -> None:
    facts = facts_of_file(saved(Image.fromarray(PICTURE).convert(mode), form), "a")
    assert (facts.mode, facts.height, facts.width, facts.turned) == (mode, 30, 40, False)
    assert facts.thumbnail.shape == (THUMBNAIL, THUMBNAIL)


def test_sixteen_bits_are_named_in_every_form() -> None:
    samples = np.full((4, 4), 30_000, np.uint16)
    assert facts_of_file(saved(Image.fromarray(samples), "PNG"), "a").mode == "16-bit"
    assert facts_of_file(saved(Image.fromarray(samples), "TIFF"), "a").mode == "16-bit"


@pytest.mark.parametrize(
    ("form", "name", "actual"),
    [
        ("PNG", "a.jpg", "PNG"),
        ("PNG", "A.JPEG", "PNG"),
        ("JPEG", "a.jpeg", ""),
        ("JPEG", "A.JPG", ""),
        ("JPEG", "a.png", "JPEG"),
        ("WEBP", "a.jpg", "WEBP"),
        ("PNG", "table.parquet#7", ""),
        ("PNG", "no status", ""),
        ("PPM", "a.pgm", ""),
        ("TIFF", "folder.jpg/a.tif", ""),
    ],
)
def test_endings_that_lie(form: str, name: str, actual: str) -> None:
    assert facts_of_file(saved(Image.fromarray(PICTURE), form), name).actual == actual


def test_two_images_in_one_jpeg_are_still_a_jpeg() -> None:
    image = Image.fromarray(PICTURE)
    assert facts_of_file(saved(image, "MPO", save_all=True, append_images=[image]), "a.jpg").actual == ""


def test_turned_images_equal_the_upright_ones() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = facts_of_file(saved(Image.fromarray(PICTURE).rotate(90, expand=True), "PNG", exif=exif), "a.png")
    upright = facts_of_file(saved(Image.fromarray(PICTURE), "PNG"), "a.png")
    assert turned.turned
    assert (turned.height, turned.width) == (40, 30)
    assert turned.digest == upright.digest


def test_the_digest_is_of_pixels_not_of_bytes() -> None:
    image = Image.fromarray(PICTURE)
    digests = {facts_of_file(saved(image, form), "a").digest for form in ("PNG", "BMP", "TIFF")}
    assert len(digests) == 1
    assert digests == {facts_of_array(PICTURE).digest}
    assert facts_of_array(PICTURE[::-1]).digest not in digests
    assert facts_of_array(PICTURE.reshape(40, 30, 3)).digest not in digests


def test_a_large_jpeg_is_decoded_small_and_a_cut_is_still_found() -> None:
    content = saved(Image.fromarray(PICTURE).resize((2000, 1500)), "JPEG")
    assert facts_of_file(content, "a").width == 2000
    with pytest.raises(UnreadableImage, match="cut short"):
        facts_of_file(content[: len(content) * 3 // 4], "a")
