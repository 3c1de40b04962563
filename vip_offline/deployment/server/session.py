"""From a message to its reply: one policy, many connections, no sockets here."""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.deployment.guard.camera_checks import CameraMonitor
from vip_offline.deployment.guard.guard import Guard, GuardDecision, Rules, Trouble
from vip_offline.deployment.guard.hold import choose_hold
from vip_offline.deployment.guard.key_map import KeyMap, translate
from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.deployment.serving_options import MEGABYTE
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.policies.gripper import GripperState
from vip_offline.policies.interface import FRAME, PROPRIO, Interface
from vip_offline.rewards.success.judge import Judge, Watch

BESIDE = 1 << 16  # bytes of a message beyond its arrays: names, prompt, numbers of the client's own
PROTOCOL = "openpi"


class Inferred(Protocol):
    """Output of a policy for N observations."""

    @property
    def action(self) -> NDArray[np.float32]:
        """(N, A), in the store's own units."""

    @property
    def novelty(self) -> NDArray[np.float64] | None:
        """(N,) above 1 is unlike the training set; None if the policy cannot tell."""


class ServedPolicy(Protocol):
    """Protocol of the served policy: `policies.runtime.LoadedPolicy`, or any other class."""

    manifest: dict[str, Any]  # of its folder
    interface: Interface  # what it takes and gives
    folder: Path  # where it lies
    backend: str  # what computes it, for people

    def reset(self) -> None:
        """Forget what went before."""

    def infer(self, observation: Mapping[str, NDArray[Any]]) -> Inferred:
        """Of one observation, or a batch."""


@dataclass
class Service:
    """A policy and the serving options; shared by all connections."""

    policy: ServedPolicy
    rules: Rules
    mapped: KeyMap
    limits: Limits
    options: ServeOptions
    say: Callable[[str], None]  # a line for the person at the terminal
    log: Callable[[str], None] | None = None  # takes lines, each a JSON object
    clock: Callable[[], float] = time.monotonic
    totals: Counter[str] = field(default_factory=Counter)
    judge: Judge | None = None  # says in each reply whether the goal is reached

    def record(self, **entry: Any) -> None:
        """Write a line into the log."""
        if self.log is not None:
            self.log(json.dumps({"time": round(time.time(), 3), **entry}))

    def title(self) -> str:
        """What is served, for the line that says it is ready."""
        return f"policy {self.policy.folder} on {self.policy.backend}"

    def converse(self, name: str) -> "Session":
        """Begin a connection."""
        return Session(self, name)

    def metadata(self) -> dict[str, Any]:
        """What a connection is told first: plain values, no paths of this computer."""
        manifest, rules = self.policy.manifest, self.rules
        return {
            "server": f"vip-offline {__version__}",
            "protocol": PROTOCOL,
            "policy": self.policy.folder.name,
            "backend": self.policy.backend,
            "task": manifest.get("task"),
            "encoder": manifest.get("encoder"),
            "control_rate": self.policy.interface.control_rate,
            "interface": {**self.policy.interface.plain(), "key_map": dict(self.mapped)},
            "guard": {
                "hold": list(rules.hold) if isinstance(rules.hold, tuple) else rules.hold,
                "timeout_s": rules.timeout_s,
                "stop_above": rules.stop_above,
                "idle_s": self.options.idle,
                "max_message_bytes": self.limits.size,
            },
        }


def prepare(
    policy: ServedPolicy,
    mapped: KeyMap,
    options: ServeOptions,
    say: Callable[[str], None],
    log: Callable[[str], None] | None = None,
    judge: Judge | None = None,
) -> Service:
    """Check the options against a policy, and run it once to warm up.

    Raises:
        VipOfflineError: if an option does not fit the policy.
    """
    interface = policy.interface
    if judge is not None:
        shapes = {key.removeprefix(FRAME): shape for key, shape in interface.frames.items()}
        judge.check_frames(shapes, f"policy {policy.folder}")
    holding = choose_hold(interface, options.hold)
    rules = Rules.of(interface, holding.hold, options.timeout, options.stop_above)
    # all as float64: proprio may come so, frames only to be told that they must not
    values = sum(math.prod(shape) for shape in interface.frames.values()) + len(interface.proprio)
    size = int(options.max_message_mb * MEGABYTE) or 8 * values + BESIDE
    blank: dict[str, NDArray[Any]] = {
        key: np.zeros(shape, np.uint8) for key, shape in interface.frames.items()
    }
    blank[PROPRIO] = np.zeros(len(interface.proprio), np.float32)
    novelty = policy.infer(blank).novelty
    if options.stop_above is not None and novelty is None:
        raise VipOfflineError(
            f"--stop-above {options.stop_above:g}: the policy in {policy.folder} cannot tell how "
            "novel a picture is. Leave the option out, or train again."
        )
    for note in holding.notes:
        say(note)
    blind = [
        key
        for key in interface.frames
        if "grid_mean" not in (policy.manifest.get("colour") or {}).get(key.removeprefix(FRAME), {})
    ]
    if blind:
        say(
            f"cameras: the policy does not say how {', '.join(blind)} looked in the training set, "
            "so an upside-down picture is not noticed. `vip-offline ship` adds it."
        )
    rate = interface.control_rate
    if rate and options.timeout <= 1 / rate:
        say(
            f"--timeout {options.timeout:g} s is no longer than the policy's control period, "
            f"{1 / rate:.3g} s at {rate:g} Hz: nearly every reply will be held."
        )
    return Service(policy, rules, mapped, Limits(size), options, say, log, judge=judge)


class Session:
    """One connection: its guard, grippers and camera monitors.

    Not to be used by two threads at once; the server has one that does all the work.
    """

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name
        self._guard = Guard(service.rules, self._note)
        self._grippers = GripperState(service.policy.interface.grippers)
        colour = service.policy.manifest.get("colour") or {}
        self._cameras = {
            key: CameraMonitor(key, colour.get(key.removeprefix(FRAME)) or {})
            for key in service.policy.interface.frames
        }
        self._watch = self._new_watch()
        service.policy.reset()
        service.record(connection=name, opened=True)

    def _new_watch(self) -> Watch | None:
        judge = self._service.judge
        return None if judge is None else judge.watch()

    def answer(self, message: bytes, arrived: float, previous_s: float | None) -> bytes:
        """Reply to one observation.

        Args:
            message: as it came from the socket.
            arrived: when, on the service's clock.
            previous_s: how long the message before took, from its arrival until it was sent.

        Returns:
            A message with ``actions`` (1, A) float32, or (0, A) where `Guard.hold` has none,
            ``server_timing``, ``guard``, ``warnings``; with a success model ``success``, see
            `Watch.add`, where the observation was looked at.

        Raises:
            VipOfflineError: if the message is no observation of this policy.
        """
        service, guard, interface = self._service, self._guard, self._service.policy.interface
        observation = decode(message, service.limits)
        if not isinstance(observation, dict):
            raise VipOfflineError(
                f"message: is a {type(observation).__name__}; expected a map from keys to arrays."
            )
        mine = translate(observation, service.mapped, interface)
        trouble = guard.receive(mine, interface.observation_keys, arrived)
        started, warnings = service.clock(), list[str]()
        reached: dict[str, Any] = {}
        if trouble:
            if trouble.reason == "timeout":
                service.policy.reset()
                self._grippers.reset()
                self._watch = self._new_watch()
            verdict = guard.hold(trouble)
        else:
            checked = interface.check(mine)
            if checked.batched:
                raise VipOfflineError(
                    "observation: is a batch, which would come back as a chunk of actions. Send "
                    "one observation at a time."
                )
            warnings = self._camera_warnings(mine)
            verdict = self._infer({key: mine[key] for key in interface.observation_keys})
            if self._watch is not None:
                camera = self._watch.judge.model.camera
                reached = {"success": self._watch.add(mine[f"{FRAME}{camera}"])}
        infer_s = service.clock() - started
        self._count(verdict)
        service.record(
            connection=self._name,
            infer_ms=round(infer_s * 1000, 3),
            action=[round(float(value), 6) for value in verdict.action],
            **{key: verdict.report[key] for key in ("held", "reason", "range", "step", "novelty")},
            warnings=warnings,
        )
        timing = {"infer_ms": infer_s * 1000}
        if previous_s is not None:
            timing["prev_total_ms"] = previous_s * 1000
        # lists and not arrays: openpi's ActionChunkBroker cuts every array along the chunk
        return encode(
            {
                # none, (0, A), where the last action is to be held and there is none yet
                "actions": verdict.action.reshape(-1, len(interface.action)),
                "server_timing": timing,
                "guard": verdict.report,
                "warnings": warnings,
                **reached,
            }
        )

    def close(self) -> None:
        """Nothing outlives a connection."""

    def _infer(self, observation: Mapping[str, NDArray[Any]]) -> GuardDecision:
        try:
            inferred = self._service.policy.infer(observation)
        except VipOfflineError as error:  # the observation was checked: it is the policy's own
            return self._guard.hold(Trouble("policy", str(error)))
        novelty = None if inferred.novelty is None else float(inferred.novelty[0])
        if novelty is not None and not math.isfinite(novelty):
            novelty = None  # unknown
        action = self._grippers(inferred.action[0])
        return self._guard.release(action, novelty, self._service.clock())

    def _note(self, line: str) -> None:
        self._service.say(f"{self._name}: {line}")
        self._service.record(connection=self._name, note=line)

    def _camera_warnings(self, observation: Mapping[str, NDArray[Any]]) -> list[str]:
        warnings = [
            warning
            for key, camera in self._cameras.items()
            for warning in camera.add(observation[key], observation[PROPRIO])
        ]
        for warning in warnings:
            self._service.say(f"{self._name}: {warning}")
        return warnings

    def _count(self, verdict: GuardDecision) -> None:
        totals, report = self._service.totals, verdict.report
        totals["actions"] += len(verdict.action) > 0
        for rule in ("held", "range", "step"):
            totals[rule] += bool(report[rule])
        if report["reason"]:
            totals[report["reason"]] += 1
