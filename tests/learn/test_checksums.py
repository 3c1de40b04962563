import subprocess
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.learn.checksums import SUMS, changed, read_sums, write_sums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    write_sums(tmp_path, ["b", "a"])
    return tmp_path


def test_sha256sum_reads_it(folder: Path) -> None:
    subprocess.run(["sha256sum", "-c", SUMS], cwd=folder, check=True, capture_output=True)
    assert list(read_sums(folder)) == ["a", "b"]
    assert changed(folder) == []


def test_what_was_changed(folder: Path) -> None:
    (folder / "a").write_text("ons")
    (folder / "b").unlink()
    assert changed(folder) == ["a was changed since it was written", "b is missing"]
    assert changed(folder, ("b",)) == ["b is missing"]


def test_a_folder_without(tmp_path: Path) -> None:
    assert read_sums(tmp_path) == {}
    assert changed(tmp_path) == []


@pytest.mark.parametrize("text", [b"nonsense\n", b"\xff\xfe", b"00  ../../etc/passwd\n"])
def test_a_list_that_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / SUMS).write_bytes(text)
    with pytest.raises(VipOfflineError, match="Copy the folder again"):
        read_sums(tmp_path)
