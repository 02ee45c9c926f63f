"""Where Convscope keeps what it can fetch or compute again: downloads, decoded images, the results of scans."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$CONVSCOPE_CACHE, else $XDG_CACHE_HOME/convscope, else ~/.cache/convscope; it is not created here.

    An empty variable counts as unset, and a relative $XDG_CACHE_HOME is ignored, as the XDG base directory
    specification (2021) asks.

    >>> import os
    >>> os.environ["CONVSCOPE_CACHE"] = "/data/cache"
    >>> cache_folder().as_posix()
    '/data/cache'
    >>> del os.environ["CONVSCOPE_CACHE"]
    """
    own = os.environ.get("CONVSCOPE_CACHE", "")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache"
    return base / "convscope"
