"""Small stores with a labelling, and what two of them must have in common to hold the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.exporters.labelled_episodes import LabelledStore, open_labelled
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.options import ImportOptions

FRAME = (4, 6, 3)
DTYPES = ("float32", "float64", "int64", "uint8", "bool")
NAMES = st.text("aZ0_éжλ漢", min_size=1, max_size=6)


@dataclass(frozen=True)
class Shape:
    """What a generated data set looks like."""

    lengths: list[int]
    cameras: list[str]
    extras: dict[str, tuple[str, tuple[int, ...]]]  # name -> dtype, shape of a row
    splits: list[str]
    seed: int


SHAPES = st.builds(
    Shape,
    lengths=st.lists(st.integers(2, 9), min_size=1, max_size=4),
    cameras=st.lists(NAMES, min_size=1, max_size=2, unique_by=str.casefold),
    extras=st.dictionaries(
        NAMES, st.tuples(st.sampled_from(DTYPES), st.sampled_from([(), (1,), (3,), (2, 2)]))
    ),
    splits=st.lists(NAMES, max_size=2, unique=True),
    seed=st.integers(0, 2**31),
)


def numbers(
    generator: np.random.Generator, rows: int, dtype: str, tail: tuple[int, ...]
) -> NDArray[Any]:
    return (100 * generator.random((rows, *tail)) - (50 if dtype[0] in "fi" else 0)).astype(dtype)


def pictures(
    generator: np.random.Generator, rows: int, frame: tuple[int, ...] = FRAME
) -> NDArray[np.uint8]:
    return generator.integers(0, 256, (rows, *frame), np.uint8)


def imported(source: Path, store: Path, *key_map: str) -> Store:
    origin = open_source(source)
    try:
        import_source(origin, store, ImportOptions(key_map=key_map))
    finally:
        origin.close()
    return open_store(store)


def with_rewards(path: Path, name: str = "made", goals: int = 1) -> LabelledStore:
    """The store with a labelling whose rewards are known: what `distances` says."""
    store = open_store(path)
    reward, distance = [], []
    for start, stop in store.spans():
        column = distances(stop - start, start)
        distance.append(column)
        reward.append(np.append(column[:-1] - column[1:], np.nan))
    label = Label(
        name,
        np.concatenate(reward).astype(np.float32),
        np.concatenate(distance).astype(np.float32),
        np.zeros((goals, 2), np.float32),
        {"encoder": "pixels", "camera": store.cameras[0], "goal_rows": [store.rows - 1]},
    )
    with writing(path) as writer:
        writer.write_label(label)
    return open_labelled(path, name)


def distances(length: int, seed: int) -> NDArray[np.float32]:
    """(T,) that fall, now and then rise, and never end at 0."""
    steps = np.random.default_rng(seed).normal(-0.3, 1, length)
    return np.abs(20 + np.cumsum(steps)).astype(np.float32)


def recorded(
    path: Path,
    lengths: Sequence[int] = (5, 3),
    *,
    last_action: bool = True,
    frame: tuple[int, ...] = FRAME,
    **attributes: Any,
) -> Path:
    """A store that came from nowhere else, with two cameras and an extra column."""
    generator = np.random.default_rng(len(lengths))
    described = {"task": "lift-v0", "control_rate": 20.0, "splits": ["übung"], **attributes}
    with writing(path, create=described) as store:
        for index, length in enumerate(lengths):
            action: NDArray[np.float32] = numbers(generator, length, "float32", (2,))
            action /= 50
            if not last_action:
                action[-1] = np.nan
            store.append(
                Episode(
                    frames={name: pictures(generator, length, frame) for name in ("front", "手")},
                    proprio=numbers(generator, length, "float32", (3,)),
                    action=action,
                    succeeded=np.arange(length) >= length - 1 + index % 2,
                    true_reward=np.append(np.ones(length - 1), np.nan).astype(np.float32),
                    success=index % 2 == 0,
                    extras={"force": numbers(generator, length, "float64", (2, 2))},
                    name=f"épisode {index}",
                    task="pick é",
                    splits=("übung",) if index == 0 else (),
                )
            )
    return path


def assert_same(before: Store, after: Store, *, without: Sequence[str] = ()) -> None:
    """Whatever the first holds, the second holds too, to the bit."""
    assert after.spans() == before.spans()
    assert after.cameras == before.cameras
    for camera in before.cameras:
        np.testing.assert_array_equal(
            after.frames(camera, 0, after.rows), before.frames(camera, 0, before.rows)
        )
    for key in ("proprio", "action", "succeeded", "true_reward"):
        found, wanted = after.data(key), before.data(key)
        assert found.dtype == wanted.dtype, key
        np.testing.assert_array_equal(found, wanted, err_msg=key)
    for name in before.keys("extras"):
        found, wanted = after.extra(name), before.extra(name)
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)
    for key in {"success", *(k for k in before.keys("meta") if k.startswith("split_"))} - {
        *without
    }:
        np.testing.assert_array_equal(after.meta(key), before.meta(key), err_msg=key)
    for key in ("proprio", "splits", "task", "control_rate"):
        assert after.attributes[key] == before.attributes[key], key
