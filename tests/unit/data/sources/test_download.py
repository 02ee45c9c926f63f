"""Downloads from a server on this machine: whole, resumed, restarted, wrong, dead."""

from __future__ import annotations

import errno
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from convscope.core.errors import Failure
from convscope.data.sources.download import download, file_md5

CONTENT = bytes(range(256)) * 4096
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; `cut` bytes are sent of each answer, `ranges` says whether Range is honoured."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cut, self.ranges, self.status = CONTENT, 0, True, 0
        self.asked: list[str | None] = []
        self.agents: set[str | None] = set()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up early is part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/set.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        self.server.agents.add(self.headers.get("User-Agent"))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if self.server.status:
            self.send_error(self.server.status)
            return
        if start >= len(self.server.content) and start:
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut or None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def dead() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/set.bin"


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "cache" / "set.bin"


def part_of(target: Path) -> Path:
    return target.with_name("set.bin.part")


def test_a_file_arrives_whole(server, target):
    assert download([server.url], target, md5=MD5) == target
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()
    assert server.asked == [None]
    assert server.agents == {"convscope"}


def test_progress_runs_to_the_total(server, target):
    seen: list[tuple[str, int, int]] = []
    download([server.url], target, md5=MD5, progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {(what, total) for what, _, total in seen} == {("download", len(CONTENT))}
    assert seen[-1][1:] == (len(CONTENT), len(CONTENT))


def test_a_cut_connection_goes_on_where_it_stopped(server, target):
    server.cut = len(CONTENT) // 3 + 1
    assert download([server.url], target, md5=MD5).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={server.cut}-", f"bytes={2 * server.cut}-"]


def test_what_arrived_is_kept_for_the_next_run(server, target):
    server.cut = 1000
    with pytest.raises(Failure, match="the connection was cut after 3,000 bytes"):
        download([server.url], target, md5=MD5)
    assert part_of(target).read_bytes() == CONTENT[:3000]
    assert not target.exists()
    server.cut = 0
    seen: list[tuple[str, int, int]] = []
    download([server.url], target, md5=MD5, progress=lambda *a: seen.append(a))
    assert server.asked[-1] == "bytes=3000-"
    assert seen[0][1] > 3000
    assert seen[-1][1:] == (len(CONTENT), len(CONTENT))
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_is_taken_from_the_start(server, target):
    server.ranges = False
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:500])
    download([server.url], target, md5=MD5)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_complete_is_only_checked(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    download([server.url], target, md5=MD5)
    assert server.asked == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"of another file", b"x" * (len(CONTENT) + 5)])
def test_a_part_of_another_file_is_thrown_away_and_fetched_again(server, target, stale):
    target.parent.mkdir()
    part_of(target).write_bytes(stale)
    download([server.url], target, md5=MD5)
    assert target.read_bytes() == CONTENT
    assert server.asked[-1] is None


def test_a_wrong_checksum_says_expected_and_got_and_leaves_nothing(server, target):
    server.content = b"something else"
    with pytest.raises(Failure, match=f"MD5 {hashlib.md5(b'something else').hexdigest()}, expected {MD5}"):
        download([server.url], target, md5=MD5)
    assert list(target.parent.iterdir()) == []


def test_the_next_mirror_is_tried(server, target, dead):
    download([dead, "not a url", server.url], target, md5=MD5)
    assert target.read_bytes() == CONTENT


def test_the_next_mirror_goes_on_where_the_first_was_cut(server, target):
    with Server() as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        other.cut = 700
        other.ranges = False
        download([other.url, server.url], target, md5=MD5)
        other.shutdown()
        thread.join()
    assert server.asked == ["bytes=700-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_refusal_is_given_as_the_reason(server, target, status):
    server.status = status
    with pytest.raises(
        Failure, match=rf"set\.bin could not be downloaded \(127\.0\.0\.1:\d+: HTTP {status}\)"
    ):
        download([server.url], target, md5=MD5)


def test_no_network_is_one_line_with_every_mirror(target, dead):
    with pytest.raises(Failure) as caught:
        download([dead, dead.replace("set", "other")], target, md5=MD5)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("Connection refused") == 2


def test_a_name_that_does_not_resolve(target):
    with pytest.raises(Failure, match=r"nowhere\.invalid"):
        download(["http://nowhere.invalid/set.bin"], target, md5=MD5, timeout=5)


def test_no_mirror_at_all(target):
    with pytest.raises(Failure, match="no mirror is known"):
        download([], target, md5=MD5)


def test_a_server_that_never_answers_times_out(target):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(Failure, match="timed out"):
            download([f"http://127.0.0.1:{mute.getsockname()[1]}/x"], target, md5=MD5, timeout=0.2)


def test_a_file_that_was_there_is_kept_when_the_download_fails(target, dead):
    target.parent.mkdir()
    target.write_bytes(b"a person's own")
    with pytest.raises(Failure):
        download([dead], target, md5=MD5)
    assert target.read_bytes() == b"a person's own"


def test_a_folder_on_disk_can_be_a_mirror(tmp_path, target):
    (tmp_path / "set.bin").write_bytes(CONTENT)
    download([(tmp_path / "set.bin").as_uri()], target, md5=MD5)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_closed_disk_is_not_blamed_on_the_mirror(server, target, monkeypatch, number):
    original = Path.open

    def refuse(self, mode="r", *args, **kwargs):
        if self.name.endswith(".part") and mode != "rb":
            raise OSError(number, "told by the test")
        return original(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(Failure, match=r"set\.bin\.part cannot be written: .*; set \$CONVSCOPE_CACHE"):
        download([server.url, server.url], target, md5=MD5)
    assert len(server.asked) == 1


def test_a_file_in_the_place_of_the_folder(tmp_path, server):
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(Failure, match=r"cannot be written|File exists"):
        download([server.url], tmp_path / "cache" / "set.bin", md5=MD5)


def test_file_md5(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert file_md5(tmp_path / "a") == MD5
