"""Where Convscope keeps what it can fetch or compute again: downloads, prepared images, scans."""

from __future__ import annotations

import os
from pathlib import Path

from convscope.core.errors import UserError


class UnusableCache(UserError):  # noqa: N818, named like the other mistakes
    """There is no cache folder, or it cannot be written."""


def cache_folder() -> Path:
    """$CONVSCOPE_CACHE, else $XDG_CACHE_HOME/convscope, else ~/.cache/convscope; it is not created here.

    An empty variable counts as unset, and a relative $XDG_CACHE_HOME is ignored, as the XDG base directory
    specification (2021) asks. UnusableCache where there is no home folder to put it in.

    >>> import os
    >>> os.environ["CONVSCOPE_CACHE"] = "/data/cache"
    >>> cache_folder().as_posix()
    '/data/cache'
    >>> del os.environ["CONVSCOPE_CACHE"]
    """
    # An own variable goes first: a cluster shares $XDG_CACHE_HOME between programs with other limits.
    own = os.environ.get("CONVSCOPE_CACHE", "")
    shared = os.environ.get("XDG_CACHE_HOME", "")
    try:
        if own:
            return Path(own).expanduser().absolute()
        base = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # neither $HOME nor the password database knows a home folder
        where = "set CONVSCOPE_CACHE to a folder that can be written"
        raise UnusableCache(f"there is no home folder to keep a cache in; {where}") from None
    return base / "convscope"
