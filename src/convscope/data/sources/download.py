"""One file from the first of several mirrors that has it; a broken download goes on where it stopped."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convscope.core.errors import Failure
from convscope.core.run.progress import Progress

_CHUNK = 1 << 18  # bytes between two calls of progress
_TRIES = 3
# Faults of this disk, which no other mirror would cure.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def download(
    urls: Sequence[str], target: Path, *, md5: str, progress: Progress | None = None, timeout: float = 30.0
) -> Path:
    """Fetch a file from the first URL that works, check its MD5 and move it into place in one step.

    What arrived of a broken download stays beside it as `target.part`, and the next try asks for the rest
    (HTTP Range, RFC 9110, 2022); a server that sends everything again is taken from the start.

    Args:
        urls: mirrors, tried in this order.
        target: where the file goes; a file that is there already stays until the new one is whole.
        md5: of the whole file, in hex.
        progress: is called with "download" and bytes; the total is 0 while it is unknown.
        timeout: seconds, for each wait.

    Returns:
        `target`.

    Raises:
        Failure: no mirror gave the file; one line has the last reason of each.
    """
    part = target.with_name(f"{target.name}.part")
    reasons: list[str] = []
    for url in urls:
        # A part of another version may lie there; it is tried once more from the start.
        stale = part.exists()
        reason = _attempt(url, part, md5=md5, progress=progress, timeout=timeout)
        if reason and stale and not part.exists():  # what lay there was not the beginning of this file
            reason = _attempt(url, part, md5=md5, progress=progress, timeout=timeout)
        if not reason:
            return part.replace(target)
        reasons.append(f"{_host(url)}: {reason}")
    raise Failure(f"{target.name} could not be downloaded ({'; '.join(reasons) or 'no mirror is known'})")


def file_md5(path: Path) -> str:
    """The MD5 of a file, in hex; publishers give it, and it guards against accidents, not against malice."""
    with path.open("rb") as file:
        # A system in FIPS mode refuses MD5 that could be for security.
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _attempt(url: str, part: Path, *, md5: str, progress: Progress | None, timeout: float) -> str:
    """What went wrong with one mirror, or nothing; a part that proved wrong is gone then."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, progress=progress, timeout=timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            reason = os.strerror(error.errno or 0)
            raise Failure(
                f"{part} cannot be written: {reason}; set $CONVSCOPE_CACHE to another folder"
            ) from None
        return _reason(error)
    actual = file_md5(part)
    if actual == md5:
        return ""
    part.unlink()
    return f"sent a file with MD5 {actual}, expected {md5}"


def _fetch(url: str, part: Path, *, progress: Progress | None, timeout: float) -> None:
    for left in reversed(range(_TRIES)):
        before = part.stat().st_size if part.exists() else 0
        if _fetch_once(url, part, progress=progress, timeout=timeout):
            return
        # A try that brought nothing would bring nothing again.
        if not left or part.stat().st_size <= before:
            raise ConnectionError(f"the connection was cut after {part.stat().st_size:,} bytes")


def _fetch_once(url: str, part: Path, *, progress: Progress | None, timeout: float) -> bool:
    """Whether the file is complete now; False where the connection ended early."""
    have = part.stat().st_size if part.exists() else 0
    # No compression: bytes on the way must be bytes of the file, or a range would not fit.
    headers = {"User-Agent": "convscope", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response: Any = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
                raise
        # Nothing lies beyond what we have: either it is all there, which the checksum tells, or it is not
        # ours.
        return True
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        return _received(response, part, have=have if resumed else 0, progress=progress)


def _received(response: Any, part: Path, *, have: int, progress: Progress | None) -> bool:
    """Write what arrives behind the `have` bytes of `part`; whether that is all of it."""
    done, total = have, have + int(response.headers.get("Content-Length") or 0)
    with part.open("ab" if have else "wb") as file:
        while chunk := _next_chunk(response):
            file.write(chunk)
            done += len(chunk)
            if progress:
                progress("download", done, max(total, 0))
    # Without Content-Length the total is `have`, and the checksum alone tells.
    return done >= total


def _next_chunk(response: Any) -> bytes:
    try:
        return bytes(response.read(_CHUNK))
    except http.client.IncompleteRead as error:
        # What arrived before the cut counts: the next try asks for the rest.
        return error.partial
    except (TimeoutError, ConnectionError):
        return b""


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc or url


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    inner = getattr(error, "reason", None)
    return " ".join(str(getattr(inner, "strerror", None) or inner or error).split()) or type(error).__name__
