"""What a person names a network by: a name of the list, a file with a class in it, a run, a weight file."""

from __future__ import annotations

from pathlib import Path

from convscope.models.variants.registry import variants


def is_custom_model(reference: str) -> bool:
    """Does a `--model` value name a file with a class, as in my_net.py:Net, and not a network of the list?

    >>> is_custom_model("nets/my_net.py:Net"), is_custom_model("small_cnn")
    (True, False)
    """
    return reference.endswith(".py") or ".py:" in reference


def is_there(path: Path) -> bool:
    """Is there a file or a folder? A name that no file system takes, because it is too long, names none.

    >>> is_there(Path("a" * 10_000))
    False
    """
    try:
        return path.exists()  # 255 bytes a name on most file systems, and OSError beyond
    except OSError:
        return False


def canonical_reference(reference: str) -> str:
    """The reference as it holds from every folder: a path in full, a name as it is.

    >>> canonical_reference("squeezenet1_0"), canonical_reference("torchvision:resnet18")
    ('squeezenet1_0', 'torchvision:resnet18')
    """
    # A run is resumed from another folder, too, where a relative path names something else or nothing.
    is_path = reference not in variants and is_there(Path(reference))
    return str(Path(reference).resolve()) if is_path else reference
