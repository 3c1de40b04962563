"""Scores of frames that another program gave, or the store's own column, fitted to its episodes.

SARM, Robometer and TOPReward write one row per frame of a LeRobotDataset: ``index``,
``episode_index``, ``frame_index``, ``progress_sparse`` or ``progress_dense``, which rises as the
task gets done. Other tables say by a key map which of their columns plays which role.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.store import Store
from vip_offline.dataset.tables.columns import Table
from vip_offline.dataset.tables.read_table import TABLES, read_table
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.arrays import Floats
from vip_offline.utils.files import sha256_of

EPISODE, FRAME, INDEX, SCORE, REWARD = "episode", "frame", "index", "score", "reward"
ROLES = (SCORE, REWARD, EPISODE, FRAME, INDEX)
# column -> role, the first of a role that is there; those of LeRobot, then what others call them
KNOWN: Mapping[str, str] = {
    "episode_index": EPISODE,
    "frame_index": FRAME,
    "index": INDEX,
    "progress_sparse": SCORE,
    "progress_dense": SCORE,
    "progress": SCORE,
    "score": SCORE,
    "next.reward": REWARD,
    "reward": REWARD,
}


@dataclass(frozen=True)
class Scores:
    """How good each frame of a store is, by somebody else."""

    distance: Floats  # (N,), falls as the score rises; of the task done as well as any: 0
    description: str  # for people: what they are and where they come from
    provenance: Mapping[str, Any]  # JSON values: file, hash, columns
    columns: tuple[str, ...] = ()  # of the store that they were read from; none: a file's
    notes: tuple[str, ...] = ()  # what was guessed or passed over, with counts


def read_scores(store: Store, source: str, key_map: Sequence[str]) -> Scores:
    """Read scores from a file, or from a column of the store, and fit them to its rows.

    A score p becomes the distance top - p, with top 1 where all scores lie in [0, 1], else the
    largest of the store. A reward r of each step becomes the score of its running sum, so that
    Eq. 1 gives the rewards back.

    Args:
        store: whose episodes are scored.
        source: a table of one row per frame, or ``true_reward``, or another column of the store.
        key_map: ``ROLE=COLUMN`` with one of `ROLES`, where the file's columns have other names.

    Raises:
        VipOfflineError: if it is neither, a column is not there, or its rows are not those of the
            store: naming the file, the episode and what was found.
    """
    path = Path(source)
    if path.suffix.lower() in TABLES or path.exists():
        return _of_table(store, path, _read(path), key_map)
    return _of_column(store, source, key_map)


def running_score(reward: Floats) -> Floats:
    """(T,) reward of each step, of the last row not looked at -> (T,) sum of those before."""
    return np.concatenate([[0.0], np.cumsum(reward[:-1])])


def distance_of(score: Floats) -> tuple[Floats, float]:
    """(N,) scores that rise as the task gets done -> (N,) distance top - score, and that top."""
    inside = bool((score >= 0).all() and (score <= 1).all())
    top = 1.0 if inside else float(score.max())
    return top - score, top


def _read(path: Path) -> Table:
    if not path.is_file():
        raise VipOfflineError(f"--from {path}: is no file.")
    return read_table(path)


def _of_table(store: Store, path: Path, table: Table, key_map: Sequence[str]) -> Scores:
    columns = {name: column for name, column in table.columns.items() if column.ndim == 1}
    roles, notes = _roles(path, columns, key_map)
    kind = SCORE if SCORE in roles else REWARD
    values = columns[roles[kind]].astype(np.float64)
    rows, placed = _placed(store, path, columns, roles, len(values))
    fitted = values[rows]
    per_step = kind == REWARD
    score = _checked(store, f"{path}, column {roles[kind]!r}", fitted, per_step=per_step)
    distance, top = distance_of(score)
    provenance = {"file": path.name, "sha256": sha256_of(path), "columns": roles, "top": top}
    description = f"{kind} {roles[kind]!r} of {path.name}"
    return Scores(distance, description, {"from": provenance}, notes=(*notes, *placed))


def _of_column(store: Store, name: str, key_map: Sequence[str]) -> Scores:
    """Per-step rewards, or scores, that the store holds."""
    extras = [key for key in store.keys("extras") if store.array(f"extras/{key}").ndim == 1]
    names = ["true_reward", *extras]
    if name not in names:
        raise VipOfflineError(
            f"--from {name}: is no file, and {store.path} has no such column of one number per "
            f"row ({', '.join(names)}).{did_you_mean(name, names)}"
        )
    kinds = {option.partition("=")[0] for option in key_map}
    wrong = [option for option in key_map if option not in (f"score={name}", f"reward={name}")]
    if wrong or len(kinds) > 1:
        raise VipOfflineError(
            f"--key-map {(wrong or [*key_map])[0]}: of a column of the store say score={name} or "
            f"reward={name} alone."
        )
    own = name == "true_reward"
    kind = REWARD if own and not kinds else next(iter(kinds), REWARD if "reward" in name else SCORE)
    values = (store.data(name) if own else store.extra(name)).astype(np.float64)
    where = f"{store.path}, column {name!r}"
    if own and not np.isfinite(values).any():
        raise VipOfflineError(f"{where}: no reward was recorded. Give a file of scores.")
    distance, top = distance_of(_checked(store, where, values, per_step=kind == REWARD))
    notes = () if own or kinds else (f"column {name!r} is taken as a {kind} of each row "
                                     f"(--key-map {kind}={name} says so)",)  # fmt: skip
    column = f"data/{name}" if own else f"extras/{name}"
    provenance = {"column": column, "kind": kind, "top": top}
    return Scores(distance, f"{kind} {name!r} of the store", {"from": provenance}, (column,), notes)


def _roles(
    path: Path, columns: Mapping[str, NDArray[Any]], key_map: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which column plays which role; what was chosen among several is said."""
    named: dict[str, str] = {}
    for option in key_map:
        role, equals, column = option.partition("=")
        if not equals or role not in ROLES:
            raise VipOfflineError(
                f"--key-map {option}: expected ROLE=COLUMN with one of {', '.join(ROLES)}."
                f"{did_you_mean(role, ROLES)}"
            )
        if column not in columns:
            raise VipOfflineError(
                f"{path}: no column {column!r} of one number per row; it has "
                f"{', '.join(columns) or 'none'}.{did_you_mean(column, columns)}"
            )
        named[role] = column
    if SCORE in named and REWARD in named:
        raise VipOfflineError("--key-map: score and reward are two kinds of --from. Name one.")
    playing, notes = dict(named), []
    for column, role in KNOWN.items():
        if column in columns and role not in playing and not (
            role in (SCORE, REWARD) and (SCORE in playing or REWARD in playing)
        ):  # fmt: skip
            playing[role] = column
    kind = SCORE if SCORE in playing else REWARD
    if kind not in playing:
        raise VipOfflineError(
            f"{path}: no column is called {', '.join(c for c, r in KNOWN.items() if r == SCORE)}; "
            f"it has {', '.join(columns) or 'no column of numbers'}. Name the one that rises as "
            "the task gets done with --key-map score=COLUMN, or a reward of each step with "
            "--key-map reward=COLUMN."
        )
    others = [c for c, r in KNOWN.items() if r in (SCORE, REWARD) and c in columns]
    if kind not in named and len(others) > 1:
        left = ", ".join(column for column in others if column != playing[kind])
        notes.append(f"{path}: column {playing[kind]!r} is taken, not {left} (--key-map score=...)")
    return playing, tuple(notes)


def _placed(
    store: Store,
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    roles: Mapping[str, str],
    count: int,
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) the file's row of each row of the store."""
    lengths = [stop - start for start, stop in store.spans()]
    if EPISODE not in roles or FRAME not in roles:
        return _in_order(store, path, columns, roles, count)
    episode = _whole(path, roles[EPISODE], columns[roles[EPISODE]])
    frame = _whole(path, roles[FRAME], columns[roles[FRAME]])
    order = np.lexsort((frame, episode))
    twice = np.flatnonzero((np.diff(episode[order]) == 0) & (np.diff(frame[order]) == 0))
    if len(twice):
        row = order[twice[0]]
        raise VipOfflineError(
            f"{path}: episode {episode[row]}, frame {frame[row]} stands in it "
            f"{int(((episode == episode[row]) & (frame == frame[row])).sum())} times, and "
            f"{len(twice)} rows are doubled in all. Score each frame once."
        )
    numbers, whose = _numbers(store)
    starts = np.searchsorted(episode[order], numbers, side="left")
    stops = np.searchsorted(episode[order], numbers, side="right")
    rows = []
    for index, length in enumerate(lengths):
        part = order[starts[index] : stops[index]]
        if len(part) != length or not np.array_equal(frame[part], np.arange(length)):
            raise _other_rows(store, path, index, int(numbers[index]), frame[part], length, whose)
        rows.append(part)
    extra = len(np.setdiff1d(episode, numbers))
    if extra and not whose:
        raise VipOfflineError(
            f"{path}: scores {len(np.unique(episode))} episodes, {store.path} has {len(lengths)}: "
            "these are scores of another data set."
        )
    left = [f"{path}: {extra} episodes that are not in the store are left out"] if extra else []
    return np.concatenate(rows).astype(np.int64), left


def _in_order(
    store: Store,
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    roles: Mapping[str, str],
    count: int,
) -> tuple[NDArray[np.int64], list[str]]:
    """Rows of a file that names no episodes: as many as the store has, in its order."""
    if count != store.rows:
        raise VipOfflineError(
            f"{path}: {count} rows, and {store.path} has {store.rows}. With columns that say whose "
            "they are (--key-map episode=COLUMN, frame=COLUMN) they can be told apart."
        )
    if INDEX not in roles:
        return np.arange(count), [f"{path}: names no episodes, so row k is taken as the store's"]
    index = _whole(path, roles[INDEX], columns[roles[INDEX]])
    order = np.argsort(index, kind="stable")
    if not np.array_equal(index[order], np.arange(count)):
        wrong = int(np.flatnonzero(index[order] != np.arange(count))[0])
        raise VipOfflineError(
            f"{path}: column {roles[INDEX]!r} has no {wrong}, or one before it twice; expected "
            f"0 to {count - 1}, each once."
        )
    return order, []


def _numbers(store: Store) -> tuple[NDArray[np.int64], bool]:
    """(E,) what the origin calls the episodes, and whether it was asked."""
    if store.find("meta/source_episode") is None:
        return np.arange(len(store)), False
    return store.meta("source_episode").astype(np.int64), True


def _whole(path: Path, name: str, column: NDArray[Any]) -> NDArray[np.int64]:
    """A column of whole numbers."""
    numbers = column.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.rint(numbers)))
    if len(wrong):
        raise VipOfflineError(
            f"{path}, row {wrong[0]}, column {name!r}: {numbers[wrong[0]]} is no whole number."
        )
    return numbers.astype(np.int64)


def _other_rows(
    store: Store, path: Path, index: int, number: int, frame: NDArray[np.int64], length: int,
    whose: bool,
) -> VipOfflineError:  # fmt: skip
    called = f"episode {index}" + (f" (episode {number} of its origin)" if whose else "")
    if not len(frame):
        return VipOfflineError(
            f"{path}: has no episode {number}, and {store.path} has {called} of {length} frames. "
            "Score every episode of the store, or import those alone that are scored."
        )
    missing = np.setdiff1d(np.arange(length), frame)
    gap = f"; frame {missing[0]} is missing" if len(missing) and len(frame) < length else ""
    return VipOfflineError(
        f"{path}, episode {number}: {len(frame)} frames ({frame[0]} to {frame[-1]}), and "
        f"{store.path}, {called}, has {length}{gap}. These are scores of another data set, or of "
        "this one before frames were left out."
    )


def _checked(store: Store, where: str, values: Floats, *, per_step: bool) -> Floats:
    """The score of each row; of rewards their running sum within the episode."""
    score = np.empty(len(values))
    for index, (start, stop) in enumerate(store.spans()):
        part = values[start:stop]
        known = part[:-1] if per_step else part  # no step starts in the last row
        wrong = np.flatnonzero(~np.isfinite(known))
        if len(wrong):
            raise VipOfflineError(
                f"{where}, episode {index}, frame {wrong[0]}: is {part[wrong[0]]}, and "
                f"{len(wrong)} of its {len(known)} values are no numbers. Score these frames, or "
                "leave the episode out of the store."
            )
        score[start:stop] = running_score(part) if per_step else part
    return score


def has_no_goal(provenance: Mapping[str, Any]) -> bool:
    """Whether somebody else scored the frames, so that no frame or picture is the goal."""
    return "from" in provenance
