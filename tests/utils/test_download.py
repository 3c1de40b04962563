"""Against a real server on the loopback; resuming is in tests/encoders/test_weight_files.py."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.utils.download import download_file
from vip_offline.utils.files import sha256_of

CONTENT = bytes(range(256)) * 8_000
WAY_OUT = "put it there yourself"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    (tmp_path / "served/data.bin").write_bytes(CONTENT)
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/data.bin"
        server.shutdown()
        thread.join()


def test_a_file_and_its_hash(address: str, tmp_path: Path) -> None:
    path, progress = tmp_path / "deep/data.bin", []
    download_file(
        address,
        path,
        what="a set",
        otherwise=WAY_OUT,
        progress=lambda done, total: progress.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert sha256_of(path) == digest
    assert (tmp_path / "deep/data.bin.sha256").read_text().strip() == digest
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["data.bin", "data.bin.sha256"]


def test_what_is_there_is_not_asked_for_again(address: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    download_file(address, path, what="a set", otherwise=WAY_OUT)
    download_file("http://127.0.0.1:9/", path, what="a set", otherwise=WAY_OUT)
    path.write_bytes(CONTENT[1:])
    with pytest.raises(VipOfflineError, match="as when it was downloaded"):
        download_file(address, path, what="a set", otherwise=WAY_OUT)
    (tmp_path / "data.bin.sha256").unlink()
    with pytest.raises(VipOfflineError, match=r"data.bin.sha256 is missing"):
        download_file(address, path, what="a set", otherwise=WAY_OUT)


def test_what_does_not_come(address: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    with pytest.raises(VipOfflineError, match=rf"a set: .*cannot be reached.*or {WAY_OUT}\."):
        download_file("http://127.0.0.1:9/data.bin", path, what="a set", otherwise=WAY_OUT)
    with pytest.raises(VipOfflineError, match="File not found"):
        download_file(f"{address}.gone", path, what="a set", otherwise=WAY_OUT)
    with pytest.raises(VipOfflineError, match="its publisher states 00"):
        download_file(address, path, what="a set", otherwise=WAY_OUT, sha256="00")
    assert not list(tmp_path.glob("data.bin*"))  # what is not the publisher's is thrown away
