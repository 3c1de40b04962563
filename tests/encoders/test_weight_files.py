"""Against a real server on the loopback that can break off, resume and lie."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vip_offline.encoders.weight_files import Origin, cache_folder, cached_weights, fetch_weights
from vip_offline.errors import VipOfflineError

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    content, etag, break_at = CONTENT, '"v1"', 0
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, byte_range = self.server, self.headers.get("Range")
        server.asked.append(byte_range)
        start = 0
        if byte_range and self.headers.get("If-Range") == server.etag:
            start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.break_at] if server.break_at else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def origin(server: Server, sha256: str = "") -> Origin:
    return Origin(f"http://127.0.0.1:{server.server_address[1]}/files/model.pt", sha256)


def test_once_and_then_from_the_cache(server: Server, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    assert cached_weights("vip", origin(server)) is None
    path = fetch_weights("vip", origin(server), lambda done, total: progress.append((done, total)))
    assert path == tmp_path / "cache/vip-offline/weights/vip/model.pt"
    assert path.read_bytes() == CONTENT
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert fetch_weights("vip", origin(server)) == path == cached_weights("vip", origin(server))
    assert server.asked == [None]
    names = sorted(path.name for path in path.parent.iterdir())
    assert names == ["model.pt", "model.pt.sha256"]


def test_it_goes_on_where_it_broke_off(server: Server) -> None:
    server.break_at = 2_000_000
    with pytest.raises(VipOfflineError, match="Run this again to go on"):
        fetch_weights("vip", origin(server))
    server.break_at = 0
    assert fetch_weights("vip", origin(server)).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=2000000-"]


def test_a_file_that_changed_meanwhile_is_not_mixed_in(server: Server) -> None:
    server.break_at = 2_000_000
    with pytest.raises(VipOfflineError, match="2000000 of 5120000 bytes"):
        fetch_weights("vip", origin(server))
    server.break_at, server.etag, server.content = 0, '"v2"', CONTENT[::-1]
    assert fetch_weights("vip", origin(server)).read_bytes() == CONTENT[::-1]


def test_the_publishers_hash_is_checked(server: Server) -> None:
    assert fetch_weights("a", origin(server, SHA256[:8])).is_file()
    with pytest.raises(VipOfflineError, match=f"has sha256 {SHA256}; its publisher states 0000"):
        fetch_weights("b", origin(server, "0000"))
    assert cached_weights("b", origin(server)) is None


def test_a_file_that_changed_on_the_disk_is_refused(server: Server) -> None:
    path = fetch_weights("vip", origin(server))
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(VipOfflineError, match=f"not {SHA256} as when it was downloaded"):
        fetch_weights("vip", origin(server))


def test_no_network_is_an_error_with_a_way_out(tmp_path: Path, server: Server) -> None:
    closed = Origin("http://127.0.0.1:9/model.pt")
    with pytest.raises(VipOfflineError, match=r"cannot be reached.*--weights FILE"):
        fetch_weights("vip", closed)
    assert cached_weights("vip", closed) is None


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == tmp_path / ".cache/vip-offline/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/vip-offline/weights")
