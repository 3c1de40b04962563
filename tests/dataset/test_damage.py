"""Whatever happens to a file of a store: it is said, or nothing that is read changes."""

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import LENGTHS, SUCCESSES, brightness_episode
from store_files import assert_same, contents, everything, overwrite_attribute

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.relabel import relabel

GOAL = "ab" * 16
DATA = ("data/action", "data/frames_front", "data/proprio", "data/succeeded", "data/true_reward")
EXTRAS = ("extras/done", "extras/goal")  # columns that are called like arrays of a labelling
META = tuple(
    f"meta/{name}"
    for name in (
        *("content_front", "done", "episode_ends", "instruction"),
        *("kind", "name", "placement", "success"),
    )
)
EMBEDDING = tuple(f"embeddings/pixels/front{of}" for of in ("", "@content", "@hash"))
LABEL = tuple(f"labels/pixels/{name}" for name in ("distance", "done", "goal", "read", "reward"))
OTHERS = (
    f"goals/pixels/{GOAL}",
    "files/data/frames_front",
    "files/embeddings/pixels/front",
)
ARRAYS = (*DATA, *EXTRAS, *META, *EMBEDDING, *LABEL, *OTHERS)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store with something in every group, not to be changed, and all that it gives."""
    path = tmp_path_factory.mktemp("whole") / "x.zarr"
    with writing(path, create={"task": "drawer-close"}) as store:
        for index, (length, success) in enumerate(zip(LENGTHS, SUCCESSES, strict=True)):
            extras = {name.split("/")[1]: np.arange(length * 2.0).reshape(-1, 2) for name in EXTRAS}
            episode = brightness_episode(length, success, index)
            store.append(
                dataclasses.replace(episode, extras=extras, name=f"demo_{index}", task="close it")
            )
    relabel(path, RelabelOptions(encoder="pixels"))
    with writing(path) as store:
        store.write_goal("pixels", GOAL, np.ones(3, np.float32), {})
    return path, everything(path) | goal(path)


def goal(path: Path) -> dict[str, Any]:
    return {"goal": open_store(path).goal("pixels", GOAL)}


def chunk(array: Path) -> Path:
    (file,) = (file for file in array.rglob("*") if file.is_file() and file.name != "zarr.json")
    return file


def flip(file: Path, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    file.write_bytes(content)


def cut(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])


HARM: dict[str, Callable[[Path], object]] = {
    "a byte of a chunk": lambda array: flip(chunk(array), 0.5),
    "half a chunk": lambda array: cut(chunk(array), 0.5),
    "no chunk": lambda array: chunk(array).unlink(),
    "no description": lambda array: (array / "zarr.json").unlink(),
    "a byte of the description": lambda array: flip(array / "zarr.json", 0.5),
    "no folder": shutil.rmtree,
}


def test_the_table_below_is_complete(whole: tuple[Path, dict[str, Any]]) -> None:
    members = zarr.open_group(whole[0], mode="r").members(max_depth=None)
    assert sorted(ARRAYS) == sorted(k for k, node in members if isinstance(node, zarr.Array))


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("harm", HARM)
def test_damage_is_said_or_changes_nothing(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, array: str, harm: str
) -> None:
    path, expected = tmp_path / "x.zarr", whole[1]
    shutil.copytree(whole[0], path)
    HARM[harm](path / array)
    try:
        content = everything(path) | goal(path)
    except VipOfflineError as error:
        assert array.removesuffix("@content") in str(error)
        return
    if array == f"goals/pixels/{GOAL}":  # it is embedded again
        assert content.pop("goal") is None
        expected = {key: value for key, value in expected.items() if key != "goal"}
    assert array.startswith(("goals/", "files/")) or harm == "no folder"
    assert_same(content, expected)


@pytest.mark.parametrize(
    "group", ["data", "extras", "meta", "embeddings", "embeddings/pixels", "labels/pixels"]
)
def test_a_group_that_lost_its_description(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, group: str
) -> None:
    path = tmp_path / "x.zarr"
    shutil.copytree(whole[0], path)
    (path / group / "zarr.json").unlink()
    with pytest.raises(VipOfflineError, match=rf"the description of {group}\S* .*is gone"):
        everything(path)


@pytest.mark.parametrize("group", ["data", "extras", "meta"])
def test_a_group_that_was_deleted(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, group: str
) -> None:
    path = tmp_path / "x.zarr"
    shutil.copytree(whole[0], path)
    shutil.rmtree(path / group)
    with pytest.raises(VipOfflineError, match=rf"the description of {group}/\w+ .*is gone"):
        everything(path)


def harmed(path: Path, array: str) -> str:
    """What is said of an array that lost a byte."""
    flip(chunk(path / array), 0.5)
    with pytest.raises(VipOfflineError) as error:
        everything(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("array", "name", "place"),
    [
        ("data/action", "c.0.0", "rows 0 to 17, episodes 0 to 2"),
        ("extras/done", "c.0.0", "rows 0 to 17, episodes 0 to 2"),
        ("extras/goal", "c.0.0", "rows 0 to 17, episodes 0 to 2"),
        ("meta/success", "c.0", "what is known of episodes 0 to 2"),
        ("embeddings/pixels/front@content", "c.0.0", "what is known of episodes 0 to 2"),
        ("labels/pixels/reward", "c/0", "rows 0 to 17, episodes 0 to 2"),
        ("labels/pixels/read", "c/0/0/0", "what is known of episodes 0 to 2"),
        ("labels/pixels/goal", "c/0/0", "all of it"),
    ],
)
def test_what_a_damaged_chunk_holds(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, array: str, name: str, place: str
) -> None:
    path = tmp_path / "x.zarr"
    shutil.copytree(whole[0], path)
    message = harmed(path, array)
    assert f"{path}: {array}: {name} is damaged" in message
    assert f"It holds {place}. " in message


def tiny(length: int) -> Episode:
    """An episode without frames; its proprio counts its rows."""
    return Episode(
        frames={},
        proprio=np.arange(length, dtype=np.float32)[:, None],
        action=np.zeros((length, 1), np.float32),
        succeeded=np.zeros(length, bool),
        true_reward=np.zeros(length, np.float32),
        success=True,
    )


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize(
    ("number", "place"),
    [
        (0, "rows 0 to 16383, episode 0"),
        (1, "rows 16384 to 32767, episodes 0 to 1"),
        (2, "rows 32768 to 39999, episodes 1 to 2"),
    ],
)
def test_episodes_of_one_chunk_of_several(
    tmp_path: Path, number: int, place: str, gone: bool
) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create={"task": "t"}) as store:
        store.append(tiny(20_000), tiny(15_000), tiny(5_000))
    file = path / f"data/proprio/c.{number}.0"
    if gone:
        file.unlink()
    else:
        flip(file, 0.5)
    store_, state = open_store(path), "missing" if gone else "damaged"
    with pytest.raises(VipOfflineError, match=rf"c\.{number}\.0 is {state}.* {place}\. "):
        store_.data("proprio")
    others = [row for row in range(0, 40_000, 4096) if row // 16384 != number]
    for row in others:  # what is whole is read
        expected = row - (0 if row < 20_000 else 20_000 if row < 35_000 else 35_000)
        assert store_.data("proprio", row, row + 1) == expected


@pytest.mark.parametrize(
    ("array", "attributes", "way_out"),
    [
        ("data/action", {}, "restore it from a copy, or record it again."),
        (
            *("data/action", {"import": {}, "source": "/sets/a"}),
            "restore it from a copy, or import it again from /sets/a.",
        ),
        ("labels/pixels/reward", {}, "with the same options, makes it again."),
        ("embeddings/pixels/front@hash", {}, "with the same options, makes it again."),
    ],
)
def test_the_way_out(
    whole: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    array: str,
    attributes: dict[str, Any],
    way_out: str,
) -> None:
    path = tmp_path / "x.zarr"
    shutil.copytree(whole[0], path)
    overwrite_attribute(path, "", **attributes)
    assert harmed(path, array).endswith(way_out)


@pytest.mark.parametrize("harm", ["a byte of a chunk", "no description"])
@pytest.mark.parametrize(
    "array",
    [*EMBEDDING, *LABEL[:1], *OTHERS, "labels/pixels", "embeddings/pixels"],
)
def test_the_way_out_leads_out(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, array: str, harm: str
) -> None:
    """Of what is made again: a folder is removed, if the message says so, and it is labelled."""
    path, options = tmp_path / "x.zarr", RelabelOptions(encoder="pixels")
    shutil.copytree(whole[0], path)
    if harm == "a byte of a chunk" and array in ("labels/pixels", "embeddings/pixels"):
        pytest.skip("a group has no chunk")
    HARM[harm](path / array)
    try:
        everything(path)
    except VipOfflineError as error:
        folder = re.search(r"Remove (\S+);", str(error))
        if folder:
            shutil.rmtree(folder[1])
        else:
            assert "`vip-offline relabel" in str(error)
    relabel(path, options)
    content = everything(path)
    for name in ("reward", "distance", "goal"):
        key = f"labels/pixels/{name}"
        np.testing.assert_array_equal(content[key], whole[1][key])
    embedding = "embeddings/pixels/front"
    np.testing.assert_array_equal(content[embedding], whole[1][embedding])


@pytest.mark.parametrize("array", ["data/action", "data/frames_front", "extras/goal"])
@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_nothing_is_added_behind_a_chunk_that_is_damaged_or_gone(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, array: str, state: str
) -> None:
    path = tmp_path / "x.zarr"
    shutil.copytree(whole[0], path)
    file = chunk(path / array)
    if state == "missing":
        file.unlink()
    else:
        flip(file, 1)  # of a shard: in the checksum of its index
    before = contents(path)
    extras = {name.split("/")[1]: np.zeros((5, 2)) for name in EXTRAS}
    episode = dataclasses.replace(brightness_episode(5, True, 9), extras=extras)
    with (
        pytest.raises(VipOfflineError, match=rf"{array}: c\.0\S* is {state}.*episodes 0 to 2"),
        writing(path, create={"task": "drawer-close"}) as store,
    ):
        store.append(episode)
    assert len(open_store(path)) == 3
    assert contents(path) == before


def test_a_labelling_of_nothing_but_zeros_is_written(tmp_path: Path, store_path: Path) -> None:
    """Were its chunks left out, lost ones would look alike."""
    zeros = np.zeros(sum(LENGTHS), np.float32)
    with writing(store_path) as store:
        store.write_label(Label("none", zeros, zeros, None, {}))
    np.testing.assert_array_equal(open_store(store_path).label("none").reward, zeros)
    chunk(store_path / "labels/none/reward").unlink()
    with pytest.raises(VipOfflineError, match="reward: c/0 is missing"):
        open_store(store_path).label("none")
