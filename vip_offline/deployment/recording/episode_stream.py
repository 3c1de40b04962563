"""From a client's messages to episodes: pure logic, no sockets, no store.

A message is one observation and what was done in it. The first message of an episode says how
the others must look. Nothing is guessed, repaired or filled in: a row that does not fit throws
the running episode away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store_format import check_name
from vip_offline.deployment.guard.guard import TIME_KEY, read_number
from vip_offline.deployment.guard.key_map import KeyMap, translate
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.policies.interface import (
    FRAME,
    PROPRIO,
    Interface,
    check_action_kind,
    check_control_rate,
    check_described,
    check_dimension_names,
    frame_fault,
)

ACTION_KEY = "action"
END_KEY, SUCCESS_KEY, DISCARD_KEY = "episode/end", "episode/success", "episode/discard"
SOURCE = "client"
MAX_STEPS = 2000  # rows of an episode, whose frames are in memory until it ends
RATE_ERROR = 0.2  # share by which the client's own clock may differ from the rate that was said


@dataclass(frozen=True)
class RecordingInfo:
    """Task, rate, names and key map that hold for all episodes of a recording."""

    task: str
    control_rate: float  # Hz
    proprio: tuple[str, ...] = ()  # names with units; (): not said
    action: tuple[str, ...] = ()
    gripper: str = ""  # its convention, in words
    action_kind: str = ""  # velocity, delta or position
    key_map: KeyMap = field(default_factory=dict)  # our key -> the client's

    @classmethod
    def of(cls, task: str, control_rate: float | None, described: Mapping[str, Any]) -> Self:
        """Combine command-line options with a robot description.

        The rate is asked for and not measured: it is written into the store before the first
        message comes, a policy's limits per step hang on it, and messages arrive as the network
        brings them, or as fast as a simulator computes.

        Raises:
            VipOfflineError: if the rate is missing, said twice or no rate, or a key of the
                description is unknown or of another kind.
        """
        check_described(described)
        if not task.strip():
            raise VipOfflineError("--task: say in a few words what the robot is to do.")
        rate = described.get("control_rate", control_rate)
        if rate is None:
            raise VipOfflineError(
                "--control-rate: say how many actions per second the robot gets. It is not "
                "measured, since messages may come late, or faster than they were made."
            )
        check_control_rate(rate, "--control-rate")
        if control_rate is not None and rate != control_rate:
            raise VipOfflineError(
                f"--control-rate {control_rate:g}: --describe says {rate!r}. Leave one out."
            )
        names = {key: described.get(key, []) for key in (PROPRIO, ACTION_KEY)}
        for key, value in names.items():
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise VipOfflineError(f"--describe: {key} is {value!r}; expected a list of names.")
            check_dimension_names(value, f"--describe: {key}")
        gripper = described.get("gripper", "")
        if not isinstance(gripper, str):
            raise VipOfflineError(f"--describe: gripper is {gripper!r}; expected words.")
        return cls(
            task,
            float(rate),
            tuple(names[PROPRIO]),
            tuple(names[ACTION_KEY]),
            gripper,
            check_action_kind(described.get("action_kind", ""), "--describe"),
            _key_map(described.get("key_map", {})),
        )

    def attributes(self) -> dict[str, Any]:
        """Attributes of the store; empty values are left out."""
        names = {"proprio": list(self.proprio), "action": list(self.action)}
        attributes = {**names, "gripper": self.gripper, "action_kind": self.action_kind}
        return {
            "source": SOURCE,
            "task": self.task,
            "control_rate": self.control_rate,
            **{key: value for key, value in attributes.items() if value},
        }


def _key_map(value: Any) -> KeyMap:
    if not isinstance(value, dict):
        raise VipOfflineError(f"--describe: key_map is {value!r}; expected a table.")
    for ours, theirs in value.items():
        several = isinstance(theirs, list) and all(isinstance(key, str) for key in theirs)
        if not (isinstance(theirs, str) or (several and theirs)):
            raise VipOfflineError(
                f"--describe: key_map of {ours!r} is {theirs!r}; expected a key, or several."
            )
        if ours != PROPRIO and not ours.startswith(FRAME):
            raise VipOfflineError(
                f"--describe: key_map names {ours!r}; expected {FRAME}<camera> or {PROPRIO}."
            )
    return dict(value)


@dataclass(frozen=True)
class RowLayout:
    """Shapes that every row must have."""

    frames: Mapping[str, tuple[int, ...]]  # key -> (H, W, 3)
    proprio: int  # P
    action: int  # A

    @property
    def bytes_per_row(self) -> int:
        """Memory of one row, bytes."""
        pictures = sum(int(np.prod(shape)) for shape in self.frames.values())
        return pictures + 4 * (self.proprio + self.action)

    def plain(self) -> dict[str, Any]:
        """Convert to plain values for a client."""
        frames = {
            key: {"shape": list(shape), "dtype": "uint8", "colour": "RGB"}
            for key, shape in self.frames.items()
        }
        return {"frames": frames, PROPRIO: self.proprio, ACTION_KEY: self.action}


class EpisodeBuilder:
    """Builds episodes from the messages of one client, one after the other."""

    def __init__(
        self,
        info: RecordingInfo,
        max_steps: int,
        layout: RowLayout | None = None,
        *,
        may_be_unlabelled: bool = False,
    ) -> None:
        """Start with none.

        Args:
            info: of all episodes.
            max_steps: rows of one episode, which bounds what is kept in memory.
            layout: of the episodes before; None: the first row says it.
            may_be_unlabelled: whether an episode may end without its flag.
        """
        self._may_be_unlabelled = may_be_unlabelled
        self._info, self._max_steps = info, max_steps
        self._known = layout  # of finished episodes
        self.layout = layout  # of the running one
        self.discarded = 0  # episodes that were begun and thrown away
        self._clear()

    def _clear(self) -> None:
        self._frames: dict[str, list[NDArray[np.uint8]]] = {}
        self._proprio: list[NDArray[np.float32]] = []
        self._action: list[NDArray[np.float32]] = []
        self._times: list[float] = []
        self.layout = self._known

    @property
    def rows(self) -> int:
        """Number of rows of the running episode."""
        return len(self._proprio)

    def drop(self) -> int:
        """Discard the running episode; returns its number of rows."""
        rows = self.rows
        self.discarded += rows > 0
        self._clear()
        return rows

    def receive(self, message: Mapping[str, Any]) -> Episode | None:
        """Add a row; returns the episode if the row ends it.

        Args:
            message: ``frame/<camera>`` (H, W, 3) uint8 RGB and ``proprio`` (P,) float of the
                observation, ``action`` (A,) float32 that was taken in it. ``episode/end`` with
                ``episode/success`` in the last one, which may come without an action, where
                nothing was done any more. ``episode/discard`` throws all of it away.

        Raises:
            VipOfflineError: if it does not fit; the running episode is thrown away then.
        """
        try:
            end, success = _flag(message, END_KEY), _flag(message, SUCCESS_KEY)
            if _flag(message, DISCARD_KEY):
                if end:
                    raise VipOfflineError(
                        f"message: both {DISCARD_KEY} and {END_KEY}; which is it?"
                    )
                self.drop()
                return None
            if end and success is None and not self._may_be_unlabelled:
                raise VipOfflineError(
                    f"message: {END_KEY} without {SUCCESS_KEY}. Say whether it succeeded, true or "
                    "false; it is not guessed."
                )
            if success is not None and not end:
                raise VipOfflineError(
                    f"message: {SUCCESS_KEY} without {END_KEY}. It belongs into an episode's last "
                    "message."
                )
            self._add(message, last=bool(end))
            return self._finished(success) if end else None
        except VipOfflineError as error:
            rows = self.drop()
            lost = f" The running episode ({rows} rows) is thrown away." if rows else ""
            raise VipOfflineError(f"{error}{lost}") from None

    def _add(self, message: Mapping[str, Any], last: bool) -> None:
        if self.rows >= self._max_steps:
            raise VipOfflineError(
                f"message: the episode has more than --max-steps {self._max_steps} rows. End or "
                f"discard it earlier ({END_KEY}, {DISCARD_KEY}), or start the recorder with more."
            )
        mine = self._ours(message)
        frames = {key: _picture(mine[key], key) for key in mine if key.startswith(FRAME)}
        proprio = _vector(mine[PROPRIO], PROPRIO)
        none = last and ACTION_KEY not in mine and self.layout is not None
        if none and self.layout is not None:
            action = np.full(self.layout.action, np.nan, np.float32)
        elif ACTION_KEY not in mine:
            raise VipOfflineError(
                f"message: has no {ACTION_KEY!r}.{did_you_mean(ACTION_KEY, message)} Every message "
                f"says what was done in its observation; only the last, with {END_KEY}, may lack "
                "it."
            )
        else:
            action = _vector(mine[ACTION_KEY], ACTION_KEY)
        shapes = {key: frame.shape for key, frame in frames.items()}
        self._check(RowLayout(shapes, len(proprio), len(action)))
        if TIME_KEY in message:
            self._times.append(_time(message[TIME_KEY], self._times))
        for key, frame in frames.items():
            self._frames.setdefault(key, []).append(frame)
        self._proprio.append(proprio)
        self._action.append(action)

    def _ours(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """By our keys; what nobody asks for (a prompt) stays, and is not looked at."""
        mapped = self._info.key_map
        sent = {key for key in message if key.startswith(FRAME)}
        theirs = {
            name for keys in mapped.values() for name in ([keys] if isinstance(keys, str) else keys)
        }
        cameras = self.layout.frames if self.layout else {*mapped, *(sent - theirs)} - {PROPRIO}
        if not cameras:
            raise VipOfflineError(
                f"message: has no picture; expected {FRAME}<camera> (H, W, 3) uint8 RGB."
            )
        for key in (*cameras, PROPRIO):
            names = mapped.get(key, key)
            for name in [names] if isinstance(names, str) else names:
                if name not in message and key not in message:
                    raise VipOfflineError(
                        f"message: has no {name!r}.{did_you_mean(name, list(message)[:32])}"
                    )
        new = sent - theirs - set(cameras)
        if new:
            raise VipOfflineError(
                f"message: has {min(new)!r}, which the rows before had not; each row needs all."
            )
        shapes = dict.fromkeys(sorted(cameras), (1, 1, 3))  # only the names are looked at
        return translate(message, mapped, Interface(shapes, (), (), (), (), ()))

    def _check(self, layout: RowLayout) -> None:
        if self.layout is None:
            for key in layout.frames:
                check_name("camera", key.removeprefix(FRAME))
            names_of = {PROPRIO: self._info.proprio, ACTION_KEY: self._info.action}
            for key, names in names_of.items():
                width = getattr(layout, key)
                if names and len(names) != width:
                    raise VipOfflineError(
                        f"message: {key} has {width} numbers; --describe names {len(names)} "
                        f"({', '.join(names)})."
                    )
            self.layout = layout
            return
        pairs: dict[str, tuple[Any, Any]] = {
            key: (layout.frames[key], self.layout.frames[key]) for key in self.layout.frames
        }
        pairs |= {
            key: ((getattr(layout, key),), (getattr(self.layout, key),))
            for key in (PROPRIO, ACTION_KEY)
        }
        for key, (shape, before) in pairs.items():
            if shape != before:
                raise VipOfflineError(f"message: {key} has shape {shape}; those before {before}.")

    def _finished(self, success: bool | None) -> Episode:
        if self.rows < 2:
            raise VipOfflineError(
                f"message: {END_KEY} in the first row; a transition needs two rows at least."
            )
        length = self.rows
        succeeded = np.zeros(length, bool)
        succeeded[-1] = bool(success)
        episode = Episode(
            # camera by camera, so that only one is in memory twice
            frames={
                key.removeprefix(FRAME): np.stack(self._frames.pop(key))
                for key in list(self._frames)
            },
            proprio=np.stack(self._proprio),
            action=np.stack(self._action),
            succeeded=succeeded,
            true_reward=np.full(length, np.nan, np.float32),
            # as in imports: what nobody calls a failure is a demonstration of the task
            success=success is not False,
            success_labelled=success is not None,
        )
        episode.check("episode")
        self._known = self.layout
        return episode

    def warnings(self) -> list[str]:
        """Compare the client's clock with the stated control rate; returns warnings."""
        if len(self._times) != self.rows or self.rows < 3:
            return []
        measured = 1 / float(np.median(np.diff(self._times)))
        stated_rate = self._info.control_rate
        if abs(measured / stated_rate - 1) <= RATE_ERROR:
            return []
        return [
            f"{TIME_KEY} says {measured:.3g} messages per second; --control-rate is "
            f"{stated_rate:g}. A policy learns from what was said."
        ]

    def done(self) -> None:
        """Forget the finished episode once it is stored."""
        self._clear()


def _flag(message: Mapping[str, Any], key: str) -> bool | None:
    if key not in message:
        return None
    value = message[key]
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if not isinstance(value, bool | np.bool_):
        raise VipOfflineError(f"message: {key} is {value!r:.80}; expected true or false.")
    return bool(value)


def _picture(value: NDArray[Any], key: str) -> NDArray[np.uint8]:
    if value.dtype != np.uint8:
        raise VipOfflineError(f"message: {key} {frame_fault(value)}")
    if value.ndim != 3 or value.shape[2] != 3 or not value.size:
        raise VipOfflineError(
            f"message: {key} is {value.dtype} {value.shape}; expected uint8 (H, W, 3), RGB."
        )
    return value


def _vector(value: Any, key: str) -> NDArray[np.float32]:
    """(D,) float32; a float64 that float32 can hold is taken, too."""
    is_array = isinstance(value, np.ndarray)
    if not is_array or value.dtype not in (np.float32, np.float64) or value.ndim != 1:
        actual = f"{value.dtype} {value.shape}" if is_array else f"a {type(value).__name__}"
        raise VipOfflineError(f"message: {key} is {actual}; expected float32 (D,).")
    if not len(value):
        raise VipOfflineError(f"message: {key} is empty.")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
        vector: NDArray[np.float32] = value.astype(np.float32)
    if not np.isfinite(vector).all():
        place = int(np.argmin(np.isfinite(vector)))
        raise VipOfflineError(f"message: {key}[{place}] is {vector[place]}; it must be finite.")
    return vector


def _time(value: Any, before: list[float]) -> float:
    time = float(read_number(value, f"message: {TIME_KEY}"))
    if before and time <= before[-1]:
        raise VipOfflineError(f"message: {TIME_KEY} is {time:g} after {before[-1:]}; it must grow.")
    return time
