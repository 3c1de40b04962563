"""What goes into a policy and what comes out: names, shapes, dtypes, units, limits.

Read from the manifest of a policy folder, so that the computer beside the robot can check what it
is given before it believes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.policies.gripper import Gripper

FRAME, PROPRIO = "frame/", "proprio"  # observation keys: frame/<camera>, proprio
# what an action of a simulator of ours means; of other stores the user says it (`vip-offline ship`)
ACTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "metaworld": (
        ("hand dx [cm]", "hand dy [cm]", "hand dz [cm]", "gripper effort"),
        "the last action: -1 opens, 1 closes",
    ),
    "kitchen": (
        (
            *(f"joint {number} velocity [2 rad/s]" for number in range(1, 8)),
            *(f"finger {number} velocity [2 m/s]" for number in (1, 2)),
        ),
        "the last two actions: above 0 opens, below closes",
    ),
    "ogbench": (
        (
            *(f"hand d{axis} [5 cm]" for axis in "xyz"),
            "hand turn [0.3 rad]",
            "change of gripper closure",
        ),
        "the last action: -1 opens, 1 closes",
    ),
}
# of a velocity or an increment (delta) 0 stands still, of a position it does not
ACTION_KINDS = ("velocity", "delta", "position")
HIGHEST_RATE = 1e6  # Hz
# what a person may say of a robot: one file for `ship --describe` and `record --describe`
DESCRIBED = (PROPRIO, "action", "action_kind", "gripper", "control_rate", "key_map")
SIMULATED_KINDS = {"metaworld": "delta", "kitchen": "velocity", "ogbench": "delta"}


@dataclass(frozen=True)
class CheckedObservation:
    """Observations that were checked against the interface of a policy."""

    frames: dict[str, NDArray[np.uint8]]  # key -> (N, H, W, 3) RGB
    proprio: NDArray[np.float32]  # (N, P)
    batched: bool  # whether a batch was given, or one observation


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a policy: names, shapes, limits and rate."""

    frames: dict[str, tuple[int, int, int]]  # key -> (H, W, 3), uint8 RGB
    proprio: tuple[str, ...]  # (P,) names with units
    action: tuple[str, ...]  # (A,) names with units
    low: tuple[float, ...]  # (A,) least in the training set
    high: tuple[float, ...]  # (A,) greatest
    largest_step: tuple[float, ...]  # (A,) greatest change from one control tick to the next
    gripper: str = ""  # its convention, in words
    grippers: tuple[Gripper, ...] = ()  # actions that take two values
    control_rate: float | None = None  # Hz
    # our key -> what the robot's side calls it; several are put side by side
    key_map: dict[str, str | list[str]] = field(default_factory=dict)
    action_kind: str = ""  # one of ACTION_KINDS; "": not known
    action_kind_guessed: bool = False  # from the training data; else somebody said it

    @property
    def observation_keys(self) -> tuple[str, ...]:
        """Keys of an observation."""
        return (*self.frames, PROPRIO)

    def check(self, observation: Mapping[str, Any]) -> CheckedObservation:
        """Refuse an observation that does not fit; unknown keys are ignored.

        Args:
            observation: per camera ``frame/<camera>`` (H, W, 3) uint8 RGB and ``proprio`` (P,)
                float; or a batch of them, (N, H, W, 3) and (N, P).

        Raises:
            VipOfflineError: naming the key, what was found and what is expected.
        """
        missing = [key for key in self.observation_keys if key not in observation]
        if missing:
            raise VipOfflineError(
                f"observation: has no {missing[0]!r}.{did_you_mean(missing[0], observation)} The "
                f"policy takes {', '.join(self.observation_keys)}."
            )
        proprio = np.asarray(observation[PROPRIO])
        if proprio.dtype.kind != "f" or proprio.dtype.itemsize < 4:
            raise VipOfflineError(
                f"observation: {PROPRIO} is {proprio.dtype}; expected float32 "
                f"({', '.join(self.proprio)})."
            )
        batched = proprio.ndim == 2
        shapes = {**self.frames, PROPRIO: (len(self.proprio),)}
        frames = {}
        for key, shape in shapes.items():
            value = np.asarray(observation[key])
            if key != PROPRIO and value.dtype != np.uint8:  # before shapes: it is the larger fault
                raise VipOfflineError(f"observation: {key} {frame_fault(value)}")
            expected = (len(proprio), *shape) if batched else shape
            if value.shape != expected:
                batch = f", or (N, {', '.join(str(size) for size in shape)}) in every key"
                raise VipOfflineError(
                    f"observation: {key} has shape {value.shape}; expected {shape}{batch}."
                )
            if key == PROPRIO:
                continue
            frames[key] = value if batched else value[None]
        rows = (proprio if batched else proprio[None]).astype(np.float32)
        if not np.isfinite(rows).all():
            row, column = (int(index) for index in np.argwhere(~np.isfinite(rows))[0])
            raise VipOfflineError(
                f"observation: {PROPRIO} {self.proprio[column]!r} is {rows[row, column]}."
            )
        if batched and not len(rows):
            raise VipOfflineError("observation: a batch of none.")
        return CheckedObservation(frames, rows, batched)

    def plain(self) -> dict[str, Any]:
        """Convert to JSON values."""
        described = asdict(self)
        described["frames"] = {
            key: {"shape": list(shape), "dtype": "uint8", "colour": "RGB"}
            for key, shape in self.frames.items()
        }
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in described.items()
        }

    @classmethod
    def read(cls, plain: Any, where: str) -> Self:
        """Read from the ``interface`` of a manifest.

        Raises:
            VipOfflineError: if something is missing, or is of another kind or length.
        """
        try:
            proprio, action = (_texts(plain[key]) for key in (PROPRIO, "action"))
            limits = {key: tuple(map(float, plain[key])) for key in ("low", "high", "largest_step")}
            frames = {str(key): _shape(camera["shape"]) for key, camera in plain["frames"].items()}
            rate, key_map = plain["control_rate"], dict(plain["key_map"])
            gripper = str(plain["gripper"])
            # policies from before they were recognised have none
            grippers = tuple(Gripper.read(entry) for entry in plain.get("grippers", ()))
            if any(not 0 <= gripper.dimension < len(action) for gripper in grippers):
                raise ValueError(f"{plain['grippers']!r}: there are {len(action)} actions")
            # younger than the rest
            guessed = bool(plain.get("action_kind_guessed", False))
            kind = check_action_kind(plain.get("action_kind", ""), where)
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise VipOfflineError(
                f"{where}: its interface is not what this program wrote ({error!r}). Copy the "
                "folder again, or train again."
            ) from None
        for key, values in limits.items():
            if len(values) != len(action) or not np.isfinite(values).all():
                raise VipOfflineError(
                    f"{where}: {key} of its interface is {list(values)}; expected "
                    f"{len(action)} numbers. Copy the folder again."
                )
        for key, names in {PROPRIO: proprio, "action": action}.items():
            check_dimension_names(names, f"{where}: {key}")
        for place, name in enumerate(action):
            low, high, step = (limits[key][place] for key in ("low", "high", "largest_step"))
            if low > high:
                raise VipOfflineError(
                    f"{where}: action {name!r} goes from low {low:g} to high {high:g}; expected "
                    "low <= high. Copy the folder again."
                )
            if step < 0:
                raise VipOfflineError(
                    f"{where}: largest_step of action {name!r} is {step:g}; expected 0 or more. "
                    "Copy the folder again."
                )
        check_control_rate(rate, f"{where}: control_rate")
        unknown = [key for key in key_map if key not in (*frames, PROPRIO)]
        if unknown:
            raise VipOfflineError(
                f"{where}: key_map names {unknown[0]!r}, which the policy does not take."
                f"{did_you_mean(unknown[0], (*frames, PROPRIO))}"
            )
        for key, theirs in key_map.items():
            if not isinstance(theirs, str) and not _are_texts(theirs):
                raise VipOfflineError(
                    f"{where}: key_map of {key!r} is {theirs!r}; expected a key, or a list of keys."
                )
        return cls(
            frames,
            proprio,
            action,
            **limits,
            gripper=gripper,
            grippers=grippers,
            control_rate=rate,
            key_map=key_map,
            action_kind=kind,
            action_kind_guessed=guessed,
        )


def check_described(described: Mapping[str, Any]) -> None:
    """Refuse keys of a description that are none of `DESCRIBED`.

    Raises:
        VipOfflineError: with the nearest known key.
    """
    unknown = [key for key in described if key not in DESCRIBED]
    if unknown:
        raise VipOfflineError(
            f"--describe: unknown key {unknown[0]!r}.{did_you_mean(unknown[0], DESCRIBED)}"
        )


def check_dimension_names(names: Sequence[str], where: str) -> None:
    """Refuse duplicate names of dimensions.

    Raises:
        VipOfflineError: with the name and its places.
    """
    for name in names:
        places = [place for place, entry in enumerate(names) if entry == name]
        if len(places) > 1:
            raise VipOfflineError(
                f"{where} names {name!r} {len(places)} times (places "
                f"{', '.join(map(str, places))}); expected different names."
            )


def check_control_rate(rate: Any, where: str) -> None:
    """Refuse a control rate that is not a positive number of Hz.

    Args:
        rate: in Hz; None: not known.
        where: a file or an option, and the key.

    Raises:
        VipOfflineError: with the value.
    """
    if rate is not None and (
        not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate <= HIGHEST_RATE
    ):
        raise VipOfflineError(f"{where} is {rate!r}; expected a number of Hz above 0.")


def frame_fault(frame: NDArray[Any]) -> str:
    """What is wrong with a frame that is not uint8, and how to put it right."""
    fault = f"is {frame.dtype}; expected uint8 from 0 to 255, RGB."
    low, high = (float(reduce(frame, initial=0)) for reduce in (np.min, np.max))
    if frame.dtype.kind != "f" or not (np.isfinite(low) and np.isfinite(high)):
        return fault
    fault += f" Its values lie between {low:.3g} and {high:.3g}:"
    if low < 0:
        return f"{fault} it was normalised; send the camera's own picture."
    times = "255 * " if high <= 1 else ""
    return f"{fault} send np.round({times}frame).astype(np.uint8)."


def check_action_kind(kind: Any, where: str) -> str:
    """Refuse an unknown kind of action.

    Args:
        kind: one of `ACTION_KINDS`, or "": not known.
        where: a file or an option, for the message.

    Raises:
        VipOfflineError: naming the kinds.
    """
    if not isinstance(kind, str) or kind not in ("", *ACTION_KINDS):
        raise VipOfflineError(
            f"{where}: action_kind is {kind!r}.{did_you_mean(str(kind), ACTION_KINDS)}"
        )
    return kind


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(text, str) for text in values)


def _texts(values: Any) -> tuple[str, ...]:
    if not _are_texts(values):
        raise TypeError(f"{values!r} is no list of names")
    return tuple(values)


def _shape(values: Any) -> tuple[int, int, int]:
    height, width, channels = (int(size) for size in values)
    if channels != 3 or min(height, width) < 1:
        raise ValueError(f"{values!r} is no shape of a picture")
    return height, width, channels
