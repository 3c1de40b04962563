"""A recorder behind the socket: what a robot streams becomes episodes of a store."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from vip_offline import __version__
from vip_offline.dataset.edits.success_labels import write_success
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import Store
from vip_offline.dataset.store_writer import StoreWriter
from vip_offline.deployment.recording.episode_stream import (
    DISCARD_KEY,
    END_KEY,
    MAX_STEPS,
    SUCCESS_KEY,
    EpisodeBuilder,
    RecordingInfo,
    RowLayout,
)
from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.deployment.server.session import PROTOCOL
from vip_offline.deployment.serving_options import MEGABYTE
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.policies.interface import FRAME
from vip_offline.rewards.success.judge import Judge
from vip_offline.rewards.success.rules import SUCCESS, UNSURE

# of a message: how large the pictures are is known only with the first
LIMITS = Limits(64 * MEGABYTE)
LARGE_EPISODE = 2_000_000_000  # bytes of an episode that a person should know of beforehand


def row_layout(store: Store) -> RowLayout | None:
    """Return the shapes of a store's rows; None for a store without episodes."""
    if not len(store):
        return None
    frames = {f"{FRAME}{camera}": store.frame_shape(camera) for camera in store.cameras}
    widths = (store.data(key, 0, 1).shape[1] for key in ("proprio", "action"))
    return RowLayout(frames, *widths)


@dataclass
class Recorder:
    """A store and the one client that writes into it."""

    store: StoreWriter
    info: RecordingInfo
    options: ServeOptions
    say: Callable[[str], None]  # a line for the person at the terminal
    max_steps: int = MAX_STEPS
    limits: Limits = LIMITS
    clock: Callable[[], float] = time.monotonic
    totals: Counter[str] = field(default_factory=Counter)
    recording: "Recording | None" = None  # the connection that writes
    judge: Judge | None = None  # proposes flags of episodes that end without one

    def title(self) -> str:
        """What is served, for the line that says it is ready."""
        contents = f", which holds {len(self.store)} episodes" if len(self.store) else ""
        return f"recorder of {self.info.task!r} into {self.store.path}{contents}"

    def converse(self, name: str) -> "Recording":
        """Begin a connection.

        Raises:
            VipOfflineError: if another client is there.
        """
        if self.recording is not None:
            raise VipOfflineError(
                f"record: {self.recording.name} is recording into {self.store.path.name}; one "
                "client at a time writes. Close that one, or start another recorder with a store "
                "and a port of its own."
            )
        self.recording = Recording(self, name, row_layout(self.store))
        return self.recording

    def metadata(self) -> dict[str, Any]:
        """What a connection is told first: plain values, no paths of this computer."""
        layout = row_layout(self.store)
        return {
            "server": f"vip-offline {__version__}",
            "protocol": PROTOCOL,
            "records": self.store.path.name,
            "task": self.info.task,
            "control_rate": self.info.control_rate,
            "episodes": len(self.store),
            "takes": layout.plain() if layout else "as in the first message",
            "proprio": list(self.info.proprio),
            "action": list(self.info.action),
            "gripper": self.info.gripper,
            "action_kind": self.info.action_kind,
            "key_map": dict(self.info.key_map),
            "ends": [END_KEY, SUCCESS_KEY, DISCARD_KEY],
            "max_steps": self.max_steps,
            "max_message_bytes": self.limits.size,
        }

    def closing_line(self) -> str:
        """What was recorded, in one line."""
        totals = self.totals
        return (
            f"recorded {totals['episodes']} episodes, {totals['rows']} rows "
            f"({totals['successes']} successes); {totals['discarded']} episodes discarded, "
            f"{totals['refused']} messages refused -> {self.store.path}"
        )


class Recording:
    """The connection of the client that writes."""

    def __init__(self, recorder: Recorder, name: str, layout: RowLayout | None) -> None:
        self.name = name
        self._recorder = recorder
        self._builder = EpisodeBuilder(
            recorder.info,
            recorder.max_steps,
            layout,
            may_be_unlabelled=recorder.judge is not None,
        )
        self._verdict = ""  # of the model on the last episode

    def answer(self, message: bytes, arrived: float, previous_s: float | None) -> bytes:
        """Add a row; at the end of an episode reply once it is on the disk.

        Returns:
            A message with ``recorded``: rows of this episode so far, ``episodes``: finished by
            this recorder, ``discarded``: thrown away by it, ``in_store``: episodes there,
            ``ended``: whether this message ended one, ``warnings``: sentences; with a success model
            also ``verdict`` on the episode that this message ended: success, failure or unsure.

        Raises:
            VipOfflineError: if the message does not fit, or cannot be written.
        """
        builder, recorder = self._builder, self._recorder
        before = builder.discarded
        try:
            read = decode(message, recorder.limits)
            if not isinstance(read, dict):
                raise VipOfflineError(f"message: is a {type(read).__name__}; expected a map.")
            episode = builder.receive(read)
            if builder.rows == 1:
                self._check_judged()
            warnings = builder.warnings() if episode else self._size(first=builder.rows == 1)
            recorded = builder.rows
            if episode is not None:
                self._keep(episode)
        finally:
            recorder.totals["discarded"] += builder.discarded - before
        for warning in warnings:
            recorder.say(f"{self.name}: {warning}")
        return encode(
            {
                "recorded": recorded,
                "episodes": recorder.totals["episodes"],
                "discarded": recorder.totals["discarded"],
                "in_store": len(recorder.store),
                "ended": episode is not None,
                "warnings": warnings,
                **({"verdict": self._verdict} if episode is not None and recorder.judge else {}),
            }
        )

    def _check_judged(self) -> None:
        """On an episode's first row: whether the success model can judge such frames.

        Raises:
            VipOfflineError: if it cannot; the episode is thrown away.
        """
        judge, layout = self._recorder.judge, self._builder.layout
        if judge is None or layout is None:
            return
        shapes = {key.removeprefix(FRAME): shape for key, shape in layout.frames.items()}
        try:
            judge.check_frames(shapes, "message")
        except VipOfflineError:
            self._builder.drop()
            raise

    def _judged(self, episode: Episode) -> str:
        """Flag an unlabelled episode that is stored, where the model is sure; its outcome in words.

        A person's flag stays, whatever the model says.
        """
        recorder, judge = self._recorder, self._recorder.judge
        outcome = "success" if episode.success else "failure"
        if judge is None:
            recorder.totals["successes"] += episode.success
            return outcome
        self._verdict = judge(episode.frames[judge.model.camera])
        if episode.success_labelled:
            recorder.totals["successes"] += episode.success
            return f"{outcome} (the success model says {self._verdict})"
        if self._verdict == UNSURE:
            return "unlabelled (the success model is unsure)"
        success = self._verdict == SUCCESS
        try:
            write_success(recorder.store, {len(recorder.store) - 1: success}, judge.by)
        except OSError as error:
            raise VipOfflineError(
                f"record: cannot write to {recorder.store.path.name} ({error.strerror or error}). "
                "The episode is stored, without a flag; `vip-offline success apply` adds it."
            ) from error
        recorder.totals["successes"] += success
        return f"{self._verdict} (says the success model)"

    def _keep(self, episode: Episode) -> None:
        recorder, builder = self._recorder, self._builder
        try:
            recorder.store.append(episode)
        except BaseException as error:
            rows = builder.drop()
            with suppress(OSError):  # on a full disk even this may fail; the next writer does it
                recorder.store.drop_unfinished()
            if isinstance(error, OSError):
                raise VipOfflineError(
                    f"record: cannot write to {recorder.store.path.name} "
                    f"({error.strerror or error}). The episode ({rows} rows) is lost; the "
                    f"{len(recorder.store)} before it are safe."
                ) from error
            raise
        builder.done()
        recorder.totals["episodes"] += 1
        recorder.totals["rows"] += len(episode)
        outcome = self._judged(episode)
        recorder.say(f"episode {len(recorder.store) - 1}: {len(episode)} rows, {outcome}")

    def _size(self, first: bool) -> list[str]:
        """On an episode's first row: whether its longest would be large."""
        layout, most = self._builder.layout, self._recorder.max_steps
        if not first or layout is None or layout.bytes_per_row * most <= LARGE_EPISODE:
            return []
        size = layout.bytes_per_row * most / 1e9
        return [
            f"an episode of --max-steps {most} rows would take {size:.1f} GB of memory; fewer rows "
            "or smaller pictures take less."
        ]

    def close(self) -> None:
        """Discard the unfinished episode of the connection."""
        before = self._builder.discarded
        rows = self._builder.drop()
        self._recorder.totals["discarded"] += self._builder.discarded - before
        self._recorder.recording = None
        if rows:
            self._recorder.say(
                f"{self.name}: left in the middle of an episode, which is discarded ({rows} rows; "
                f"{self._recorder.totals['discarded']} discarded in all)."
            )
