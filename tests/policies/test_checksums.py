import subprocess
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.policies.checksums import (
    NEXT,
    SUMS,
    changed_files,
    finish_replacement,
    read_sums,
    replace_listed,
    unlisted_files,
    write_sums,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    write_sums(tmp_path, ["b", "a"])
    return tmp_path


def test_sha256sum_reads_it(folder: Path) -> None:
    subprocess.run(["sha256sum", "-c", SUMS], cwd=folder, check=True, capture_output=True)
    assert list(read_sums(folder)) == ["a", "b"]
    assert changed_files(folder) == []


def test_what_was_changed(folder: Path) -> None:
    (folder / "a").write_text("ons")
    (folder / "b").unlink()
    assert changed_files(folder) == ["a was changed since it was written", "b is missing"]
    assert changed_files(folder, ("b",)) == ["b is missing"]


def test_a_folder_without(tmp_path: Path) -> None:
    assert read_sums(tmp_path) == {}
    assert changed_files(tmp_path) == []


@pytest.mark.parametrize("text", [b"nonsense\n", b"\xff\xfe", b"00  ../../etc/passwd\n"])
def test_a_list_that_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / SUMS).write_bytes(text)
    with pytest.raises(VipOfflineError, match="Copy the folder again"):
        read_sums(tmp_path)


class Killed(Exception):
    pass


@pytest.mark.parametrize("renames", range(5))
def test_what_is_killed_while_it_replaces_is_whole_again(
    folder: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the list is ready all is as it was, from then on all is as it is to be."""
    replace, left = Path.replace, [renames]

    def until_killed(self: Path, target: Path) -> Path:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return replace(self, target)

    before = (folder / "a").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", until_killed)
        if renames < 4:
            with pytest.raises(Killed):
                replace_listed(folder, ["a", "b"], {"a": "new a", "b": "new b"})
        else:
            replace_listed(folder, ["a", "b"], {"a": "new a", "b": "new b"})
    assert (folder / SUMS).exists()
    assert changed_files(folder) == []  # for readers it is whole meanwhile
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {"a", "b", SUMS}
    finish_replacement(folder)
    assert changed_files(folder) == []
    assert (folder / "a").read_bytes() == (before if renames == 0 else b"new a")
    assert not list(folder.glob(f".*{NEXT}"))


def test_what_must_be_listed(folder: Path) -> None:
    (folder / "beside").touch()
    assert unlisted_files(folder, ["a"], ["a", "b", "absent"]) == []
    assert unlisted_files(folder, ["absent"], ["beside"]) == [
        f"absent is not listed in {SUMS}",
        f"beside is not listed in {SUMS}",
    ]
    (folder / SUMS).unlink()
    assert unlisted_files(folder, ["absent"], ["beside"]) == []
