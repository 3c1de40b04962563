import multiprocessing
import os
from pathlib import Path

import pytest

from vip_offline.utils.files import (
    hidden_beside,
    put_back,
    put_in_place,
    replace_file,
    replaced_of,
    whole_file,
)


@pytest.mark.parametrize("end", ["well", "badly"])
def test_a_file_is_the_old_one_or_the_whole_new_one(tmp_path: Path, end: str) -> None:
    path = tmp_path / "folder/a[b].json"
    replace_file(path, b"old")
    try:
        with whole_file(path) as partial:
            partial.write_bytes(b"ne")
            assert path.read_bytes() == b"old"
            assert partial.parent == path.parent and partial.name.startswith(".")
            if end == "badly":
                raise KeyboardInterrupt
            partial.write_bytes(b"new")
    except KeyboardInterrupt:
        pass
    assert path.read_bytes() == (b"new" if end == "well" else b"old")
    assert [*path.parent.iterdir()] == [path]


def _killed(path: Path) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(b"half")
        os._exit(9)


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(path,))
    process.start()
    process.join()
    assert len([*tmp_path.iterdir()]) == 1
    with whole_file(path) as first:
        first.write_bytes(b"first")
        replace_file(path, b"second")
        assert first.exists()
    assert path.read_bytes() == b"first"
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_is_followed_and_a_dot_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "far/link").symlink_to(tmp_path / "real")
    assert hidden_beside(tmp_path / "far/link", "staging") == tmp_path / ".real.staging"
    monkeypatch.chdir(tmp_path / "real")
    assert hidden_beside(Path(), "new") == tmp_path / ".real.new"


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "a").write_text(content)
    return path


def content(path: Path) -> str:
    return (path / "a").read_text()


@pytest.mark.parametrize("older", [False, True])
def test_a_folder_is_put_where_an_older_one_may_be(tmp_path: Path, older: bool) -> None:
    path = tmp_path / "x.zarr"
    if older:
        folder(path, "old")
    put_in_place(folder(tmp_path / "new", "new"), path)
    assert content(path) == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zarr"]


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    real, path = folder(tmp_path / "disk/x.zarr", "old"), tmp_path / "x.zarr"
    path.symlink_to(real)
    put_in_place(folder(tmp_path / "disk/new", "new"), path)
    assert path.is_symlink()
    assert content(path) == content(real) == "new"
    assert sorted(entry.name for entry in (tmp_path / "disk").iterdir()) == ["x.zarr"]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("renames", [1, 2])
def test_killed_in_the_middle_a_whole_one_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int, linked: bool
) -> None:
    real = folder(tmp_path / "real.zarr", "old")
    path = tmp_path / "x.zarr" if linked else real
    if linked:
        path.symlink_to(real)
    new, done, rename = folder(tmp_path / "new", "new"), list[Path](), os.rename

    def killed(source: Path, target: Path) -> None:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(source)
        rename(source, target)
        if len(done) == renames == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            put_in_place(new, path)
    assert content(replaced_of(path)) == "old"
    put_back(path)
    assert content(path) == ("old" if renames == 1 else "new")
    assert path.is_symlink() == linked
    assert not replaced_of(path).exists()


def test_nothing_to_put_back(tmp_path: Path) -> None:
    path = folder(tmp_path / "x.zarr", "old")
    put_back(path)
    put_back(tmp_path / "never.zarr")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zarr"]
    assert content(path) == "old"
