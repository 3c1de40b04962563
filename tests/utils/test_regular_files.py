"""Regular files pass; what could be waited for without end is refused by name."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular


def test_files_and_links_to_them_pass(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    for path in (file, link, tmp_path / "missing", tmp_path / ("x" * 300)):
        assert require_regular(path) == path


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a FIFO"),
        (_socket, "a socket"),
        (os.mkdir, "a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_anything_else_is_refused_by_name(
    make: Callable[[Path], object], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("entry")
    make(path)
    with pytest.raises(VipOfflineError, match=f"^entry: is {kind}"):
        require_regular(path)
