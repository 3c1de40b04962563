"""A control loop beside a robot: it asks a served policy, and stops the arm when anything is odd.

    vip-offline serve runs/quickstart/policies/rwr-outcome/seed-0 &
    python recipes/robot/franka_loop.py --driver metaworld     # a simulated arm
    python recipes/robot/franka_loop.py --driver franka --set robot=172.16.0.2 --set camera=0
    python recipes/robot/franka_loop.py --driver my_arm:driver --record 127.0.0.1:8001

It moves nothing before names, shapes and rate of the driver are those of the policy. Whatever ends
it, ctrl-C among it, `Driver.stop` is called first. See README.md beside it for what the robot's own
controller must do, and for how to write a driver. This file needs NumPy and a client: `pip install
vip-offline`, or openpi-client with ``--client openpi``.
"""

import argparse
import importlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

RATE = 25.0  # Hz, where the policy does not say one
STILL_AT_ZERO = ("velocity", "delta")  # kinds of action that stand still at 0
UNNAMED = ("action[", "proprio[")  # what a policy calls numbers of which nobody said what they are
TIME = "observation/time"  # s, by which the server sees what was long on its way
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a closed terminal stops the arm, too
KEY_VARIABLE = "VIP_OFFLINE_API_KEY"


class Trouble(Exception):
    """Why the robot was stopped, in a sentence."""


class Lost(Exception):
    """What the robot did to its end, but was not recorded."""


class Mismatch(Exception):
    """Why it was not moved at all."""


class Driver(Protocol):
    """A robot and its cameras. All calls come from one thread.

    ``action_kind``, which may be left out, says what `act` takes: velocity, delta or position.
    """

    @property
    def proprio(self) -> tuple[str, ...]:
        """Names with units, as the policy has them; () does not say, and needs --unnamed."""

    @property
    def action(self) -> tuple[str, ...]:
        """Names with units."""

    @property
    def rate(self) -> float | None:
        """Hz at which `act` means what it says; None: any."""

    def observe(self) -> dict[str, Any]:
        """Now: ``frame/<camera>`` (H, W, 3) uint8 RGB and ``proprio`` (P,) float32, new arrays.

        Or the names of the policy's key map. Raises when a camera or the robot does not answer;
        an old picture is worse than none.
        """

    def act(self, action: NDArray[np.float32]) -> None:
        """Begin to do (A,), until the next one or for some ticks at most; does not wait."""

    def stop(self) -> None:
        """Stand still, from any state, at once; called whenever the loop ends."""

    def done(self) -> bool | None:
        """Whether the task is solved; None where the driver cannot tell."""


class Policy(Protocol):
    """`vip_offline.deployment.server.client.Client`, or openpi's WebsocketClientPolicy."""

    def get_server_metadata(self) -> dict[str, Any]:
        """What the server said first."""

    def infer(self, observation: dict[str, Any], /) -> dict[str, Any]:
        """Reply to one observation."""


@dataclass(frozen=True)
class Settings:
    """Of one run."""

    rate: float  # Hz
    steps: int  # ticks at most
    held: int = 5  # replies held in a row, after which the robot is stopped
    patience: float = 0.2  # s that the robot goes on without an answer
    fast: bool = False  # as fast as it goes: for a simulator


@dataclass
class Report:
    """What happened, filled in as it happens."""

    ticks: int = 0
    missed: int = 0  # ticks that were left out because the one before took too long
    held: int = 0
    done: bool | None = None
    round_trips: list[float] = field(default_factory=list)  # s

    def __str__(self) -> str:
        slow = np.array(self.round_trips or [0.0]) * 1000
        solved = {True: "solved", False: "not solved", None: "driver cannot tell"}[self.done]
        return (
            f"{self.ticks} ticks, {self.missed} missed, {self.held} held; {solved}; answers took "
            f"{np.median(slow):.1f} ms, 95 % below {np.percentile(slow, 95):.1f} ms"
        )


class Asking:
    """Questions in a thread of their own: a server that says nothing must not hold up a stop.

    openpi's client waits for ever, and both would let the arm go on with its last velocity.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._questions: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[dict[str, Any] | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            question = self._questions.get()
            try:
                self._answers.put(self._policy.infer(question))
            except Exception as error:
                self._answers.put(error)

    def __call__(self, observation: dict[str, Any], patience: float) -> dict[str, Any]:
        """Reply to one observation.

        Raises:
            Trouble: if it does not come in time, or is an error. Then ask no more: a late answer
                would be taken for that to the next question.
        """
        self._questions.put(observation)
        try:
            answer = self._answers.get(timeout=patience)
        except queue.Empty:
            raise Trouble(f"the server has not answered for {patience:g} s") from None
        if isinstance(answer, Exception):
            raise Trouble(str(answer)) from answer
        return answer


def action_of(reply: Mapping[str, Any], width: int) -> NDArray[np.float32] | None:
    """(A,) of a reply; None: the server holds the last action, and gave none yet.

    Raises:
        Trouble: if it is none.
    """
    actions = np.asarray(reply.get("actions"))
    if reply.get("guard", {}).get("held") and actions.shape == (0, width):
        return None
    chunk = actions.ndim == 2 and len(actions) > 0 and actions.shape[1] == width
    if actions.dtype.kind != "f" or not chunk:
        raise Trouble(f"the server's actions are {actions.dtype} {actions.shape}; not (1, {width})")
    if not np.isfinite(actions[0]).all():
        raise Trouble(f"the server's action is {actions[0].tolist()}")
    # a copy: those of a message are read-only
    action: NDArray[np.float32] = actions[0].astype(np.float32)
    return action


def differences(
    driver: Driver,
    metadata: Mapping[str, Any],
    observation: Mapping[str, Any],
    rate: float,
    unnamed: bool,
) -> list[str]:
    """What of a driver is not what the policy was trained on, in sentences."""
    interface = metadata["interface"]
    keys, found = interface.get("key_map", {}), []
    shapes = {key: tuple(each["shape"]) for key, each in interface["frames"].items()}
    shapes["proprio"] = (len(interface["proprio"]),)
    for ours, shape in shapes.items():
        names = keys.get(ours, ours)
        names = [ours] if ours in observation else [names] if isinstance(names, str) else names
        lacking = [name for name in names if name not in observation]
        if lacking:
            found.append(f"the driver gives no {lacking[0]!r} ({', '.join(observation)})")
            continue
        values = [np.asarray(observation[name]) for name in names]
        if ours != "proprio":
            if values[0].shape != shape or values[0].dtype != np.uint8:
                has = f"{values[0].dtype} {values[0].shape}"
                found.append(f"{ours} is {has}; the policy takes uint8 {shape}")
        elif sum(value.size for value in values) != shape[0]:
            width = sum(each.size for each in values)
            found.append(f"proprio has {width} numbers; the policy takes {shape[0]}")
    for what, said in (("proprio", driver.proprio), ("action", driver.action)):
        wanted = tuple(interface[what])
        if any(each.startswith(UNNAMED) for each in wanted) or not said:
            who = "driver" if not said else "policy"
            if not unnamed:
                found.append(
                    f"the {who} does not say what its {what} is; describe it (`vip-offline ship "
                    "--describe`, `Driver`), or vouch for it with --unnamed"
                )
        elif said != wanted:
            found.append(
                f"{what} of the driver is {', '.join(said)}; of the policy: {', '.join(wanted)}"
            )
    found += misheld(getattr(driver, "action_kind", ""), metadata)
    for who, other in (("policy", metadata.get("control_rate")), ("driver", driver.rate)):
        if other and abs(rate / other - 1) > 0.01:
            found.append(f"{rate:g} Hz; the {who} is for {other:g} Hz")
    return found


def misheld(kind: str, metadata: Mapping[str, Any]) -> list[str]:
    """Whether a held reply would move a robot whose actions are of this kind, in sentences."""
    hold, found = metadata.get("guard", {}).get("hold"), []
    theirs = metadata["interface"].get("action_kind", "")
    guessed = metadata["interface"].get("action_kind_guessed", False)
    if kind and theirs and not guessed and (kind in STILL_AT_ZERO) != (theirs in STILL_AT_ZERO):
        found.append(f"an action of the driver is a {kind}; of the policy: a {theirs}")
    if kind in STILL_AT_ZERO and hold == "last":
        found.append(f"the server holds by repeating a {kind}: serve with --hold zero")
    if kind == "position" and hold == "zero":
        found.append("the server holds by the position 0: serve with --hold last")
    return found


def drive(
    driver: Driver,
    ask: Callable[[dict[str, Any], float], dict[str, Any]],
    settings: Settings,
    report: Report,
    width: int,
    say: Callable[[str], None],
    keep: Callable[[dict[str, Any], NDArray[np.float32]], None] = lambda observation, action: None,
) -> None:
    """Observe, ask, act, at a steady rate, until it is done or the steps are used up.

    Ticks are due at multiples of the period from the first, so that it does not drift. Where one
    is late, those it ran over are left out and counted: never two in quick succession.

    Args:
        driver: of the robot; standing still when this is called, and stopped by the caller.
        ask: the policy.
        settings: rate and patience.
        report: filled in.
        width: A, of an action.
        say: takes a warning.
        keep: takes each observation and what was done in it.

    Raises:
        Trouble: if the robot must be stopped.
    """
    period, due, in_a_row = 1 / settings.rate, time.perf_counter(), 0
    while report.ticks < settings.steps:
        observation = driver.observe()
        # of a simulator, its own time
        now = report.ticks * period if settings.fast else time.monotonic()
        stamped = {**observation, TIME: now}
        asked = time.perf_counter()
        reply = ask(observation if settings.fast else stamped, settings.patience)
        report.round_trips.append(time.perf_counter() - asked)
        guard = reply.get("guard", {})
        in_a_row = in_a_row + 1 if guard.get("held") else 0
        report.held += bool(guard.get("held"))
        for warning in reply.get("warnings", []):
            say(warning)
        if in_a_row > settings.held:
            raise Trouble(f"held for {in_a_row} ticks: {guard.get('error') or 'no reason given'}")
        action = action_of(reply, width)
        report.ticks += 1
        if action is not None:  # else the robot stands as it did before the first one
            driver.act(action)
            keep(stamped, action)
        report.done = driver.done()
        if report.done:
            return
        if settings.fast:
            continue
        due += period
        over = time.perf_counter() - due
        if over > 0:
            late = int(over / period) + 1
            report.missed += late
            due += late * period
        time.sleep(max(0.0, due - time.perf_counter()))


class Recording:
    """Streams what is done to `vip-offline record --from-client`, beside the loop."""

    def __init__(self, policy: Policy) -> None:
        self.metadata = policy.get_server_metadata()
        self.error = ""
        self._policy = policy
        self._rows: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._last: dict[str, Any] | None = None  # sent once it is known not to be the last
        self._said: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (row := self._rows.get()) is not None:
            if not self.error:
                try:
                    self._said = self._policy.infer(row)
                except Exception as error:  # costs the recording, not the robot
                    self.error = str(error)

    def keep(self, observation: dict[str, Any], action: NDArray[np.float32]) -> None:
        """One row more."""
        if self._last is not None:
            self._rows.put(self._last)
        self._last = {**observation, "action": action}

    def finish(self, success: bool | None) -> str:
        """End the episode, or discard it where nobody knows; what came of it, in words.

        Raises:
            Lost: if it could not be recorded.
        """
        if success is None or self._last is None:
            success = None
            self._rows.put({"episode/discard": True})
        else:
            self._rows.put({**self._last, "episode/end": True, "episode/success": success})
        self._rows.put(None)
        self._thread.join(timeout=120)
        if self.error or self._thread.is_alive():
            raise Lost(f"the episode was not recorded: {self.error or 'no answer for 120 s'}")
        if success is None:
            return "the episode was discarded"
        rows, there = self._said["recorded"], self._said["in_store"]
        return f"recorded {rows} rows as a {'success' if success else 'failure'}; {there} episodes"


def connect(kind: str, address: str, key: str, timeout: float = 10.0) -> Policy:
    """A client of ``host:port``."""
    host, _, port = address.rpartition(":")
    if kind == "openpi":
        from openpi_client.websocket_client_policy import WebsocketClientPolicy

        return WebsocketClientPolicy(host, int(port), api_key=key or None)  # type: ignore[no-any-return]
    from vip_offline.deployment.server.client import Client

    return Client(host, int(port), api_key=key, timeout=timeout)


# --- drivers -------------------------------------------------------------------------------


class MetaworldArm:
    """Meta-World's simulated arm: waits for every action, so it is never late.

    ``--set task=drawer-close --set placement=0 --set camera=corner``
    """

    def __init__(self, options: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        from vip_offline.policies.interface import ACTIONS
        from vip_offline.simulation.simulators import make_simulator

        self._key = f"frame/{options.get('camera', 'corner')}"
        shape = metadata["interface"]["frames"].get(self._key, {"shape": [128, 128, 3]})["shape"]
        self._simulator = make_simulator(options.get("task") or metadata["task"], shape[0])
        self._simulator.reset(int(options.get("placement", 0)))
        self._done = False
        self.proprio = self._simulator.proprio_names
        self.action = ACTIONS["metaworld"][0]
        self.action_kind = "delta"
        self.rate: float | None = self._simulator.control_rate

    def observe(self) -> dict[str, Any]:
        """The picture and the hand."""
        seen = self._simulator.observe()
        return {self._key: seen.frame, "proprio": seen.proprio}

    def act(self, action: NDArray[np.float32]) -> None:
        """One control tick."""
        _, solved = self._simulator.step(action)
        self._done |= solved

    def stop(self) -> None:
        """It stands still unless it is stepped."""
        self._simulator.close()

    def done(self) -> bool | None:
        """As the simulator says."""
        return self._done


class FrankaArm:
    """A Franka through franky (`pip install franky-control opencv-python`): joint velocities.

    NOT RUN ON HARDWARE. It was run against franky-sim 1.0.4, which speaks the robot's protocol,
    with franky-control 2.0.0 and a made-up camera. Try it with ``--set limit=0.05``, the stop
    button in your hand, and everything out of reach.

    ``--set robot=172.16.0.2 --set camera=0 --set name=front --set limit=0.3 --set gripper=yes``

    Observation: ``frame/<name>`` from OpenCV in the policy's size, ``proprio`` (8,): joint
    positions [rad], gripper opening [m]. Action (8,): joint velocities [rad/s], gripper from 0,
    open, to 1, closed. Each velocity is asked for three ticks: franky holds it for so long and
    then brakes, so an arm that hears nothing stands still, whatever became of this loop.
    """

    proprio = (*(f"joint {each} [rad]" for each in range(1, 8)), "gripper opening [m]")
    action = (*(f"joint {each} velocity [rad/s]" for each in range(1, 8)), "gripper closing")
    action_kind = "velocity"
    rate: float | None = None

    def __init__(self, options: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        import cv2
        import franky

        self._cv2, self._franky = cv2, franky
        self._key = f"frame/{options.get('name', 'front')}"
        shape = metadata["interface"]["frames"].get(self._key, {"shape": [128, 128, 3]})["shape"]
        self._size = (shape[1], shape[0])
        place = options.get("camera", "0")
        self._camera = cv2.VideoCapture(int(place) if place.isdigit() else place)
        self._camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # of old pictures
        self._limit = float(options.get("limit", 0.3))  # rad/s
        hold_s = 3 / (metadata.get("control_rate") or RATE)
        self._hold = franky.Duration(round(1000 * hold_s))  # ms
        realtime = franky.RealtimeConfig.Enforce
        if options.get("realtime", "enforce") == "ignore":  # for franky-sim
            realtime = franky.RealtimeConfig.Ignore
        self._robot = franky.Robot(options["robot"], realtime_config=realtime)
        self._robot.relative_dynamics_factor = float(options.get("dynamics", 0.2))
        with_gripper = options.get("gripper", "yes") == "yes"
        self._gripper = franky.Gripper(options["robot"]) if with_gripper else None
        self._closed: bool | None = None

    def observe(self) -> dict[str, Any]:
        """The newest picture and the joints; raises what befell the motion since."""
        self._robot.poll_motion()
        there, picture = self._camera.read()
        if not there:
            raise Trouble("the camera gives no picture")
        frame = self._cv2.resize(picture, self._size, interpolation=self._cv2.INTER_AREA)
        width = self._gripper.width if self._gripper else 0.0
        joints = self._robot.current_joint_state.position
        return {
            # OpenCV's order is BGR
            self._key: np.ascontiguousarray(frame[:, :, ::-1]),
            "proprio": np.append(joints, width).astype(np.float32),
        }

    def act(self, action: NDArray[np.float32]) -> None:
        """Velocities within the limit, and the gripper where it is to change."""
        velocity = np.clip(action[:7].astype(np.float64), -self._limit, self._limit)
        motion = self._franky.JointVelocityMotion(velocity, duration=self._hold)
        self._robot.move(motion, asynchronous=True)
        if self._gripper is None:
            return
        closing = float(action[7])
        # between the two nothing changes: a gripper takes a second, and ends what it began
        if closing > 0.7 and self._closed is not True:
            self._closed = True
            self._gripper.grasp_async(0.0, 0.05, 20.0, epsilon_outer=1.0)
        elif closing < 0.3 and self._closed is not False:
            self._closed = False
            self._gripper.open_async(0.05)

    def stop(self) -> None:
        """Brake within the arm's limits; where that is refused, at once."""
        try:
            if self._robot.is_in_control:
                self._robot.move(self._franky.JointVelocityStopMotion(), asynchronous=True)
                if not self._robot.join_motion(timeout=2.0):
                    self._robot.stop()
        except Exception:
            self._robot.stop()
            raise
        finally:
            self._camera.release()

    def done(self) -> bool | None:
        """Nobody tells it."""
        return None


DRIVERS: dict[str, Callable[[Mapping[str, str], Mapping[str, Any]], Driver]] = {
    "metaworld": MetaworldArm,
    "franka": FrankaArm,
}


def driver_of(name: str, options: Mapping[str, str], metadata: Mapping[str, Any]) -> Driver:
    """One of ours, or ``module:function`` of yours, which takes the same two arguments."""
    if name in DRIVERS:
        return DRIVERS[name](options, metadata)
    module, _, function = name.partition(":")
    if not function:
        raise Mismatch(f"--driver {name}: expected {', '.join(DRIVERS)} or module:function")
    sys.path.insert(0, str(Path.cwd()))
    made: Driver = getattr(importlib.import_module(module), function)(options, metadata)
    return made


# --- the program ---------------------------------------------------------------------------


def listen() -> None:
    """Let the first signal end the loop; those that follow must not keep the arm from stopping."""

    def interrupted(*_: object) -> None:
        be_deaf()
        raise KeyboardInterrupt

    for each in SIGNALS:
        signal.signal(each, interrupted)


def be_deaf() -> None:
    """Until `listen` is called; SIGKILL and SIGQUIT, ctrl-backslash, are heard."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextmanager
def stopped_at_the_end(driver: Driver, say: Callable[[str], None]) -> Iterator[None]:
    """Whatever happens in the block, the robot is stopped before anything else is done.

    Raises:
        Trouble: if it could not be stopped.
    """
    try:
        try:
            yield
        finally:
            be_deaf()
    finally:
        try:
            driver.stop()
        except Exception as error:
            raise Trouble(
                f"THE ROBOT COULD NOT BE STOPPED ({type(error).__name__}: {error}): use its stop "
                "button"
            ) from error
        finally:
            listen()
        say("the robot was stopped")


def outcome(report: Report, given: str) -> bool | None:
    """Whether an episode to be recorded succeeded; None where nobody knows."""
    if given != "driver":
        return given == "yes"
    if report.done is None and sys.stdin.isatty():
        sys.stdout.write("Did it succeed? [y/n, anything else discards the episode] ")
        sys.stdout.flush()
        return {"y": True, "n": False}.get(sys.stdin.readline().strip().lower())
    return report.done


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--server", default="127.0.0.1:8000", help="of `vip-offline serve`, as HOST:PORT")
    add("--driver", required=True, help="metaworld, franka or MODULE:FUNCTION")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="for the driver")
    add("--client", choices=("ours", "openpi"), default="ours")
    add("--api-key-file", type=Path, help=f"default: ${KEY_VARIABLE}")
    add("--rate", type=float, help=f"Hz; default: the policy's, or {RATE:g}")
    add("--steps", type=int, default=500, help="ticks at most")
    add("--held", type=int, default=5, help="held replies in a row, then it stops")
    add("--patience", type=float, default=0.2, help="seconds without an answer, then it stops")
    add("--fast", action="store_true", help="do not wait for the next tick; for a simulator")
    add("--unnamed", action="store_true", help="I know that the numbers mean the same")
    add("--record", metavar="HOST:PORT", help="of `vip-offline record --from-client`")
    add("--success", choices=("driver", "yes", "no"), default="driver", help="of what is recorded")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """One episode.

    Raises:
        Mismatch: if nothing was moved.
        Trouble: if the robot was stopped before its time.
        Lost: if it went to its end and was not recorded.
    """
    settings = dict(each.split("=", 1) for each in options.set if "=" in each)
    if len(settings) != len(options.set):
        raise Mismatch("--set: expected KEY=VALUE, each key once")
    key = os.environ.get(KEY_VARIABLE, "")
    if options.api_key_file:
        key = options.api_key_file.read_text().strip()
    try:
        policy = connect(options.client, options.server, key)
        recorder = connect(options.client, options.record, key, 60) if options.record else None
        recording = Recording(recorder) if recorder else None
    except Exception as error:
        raise Mismatch(f"{error}") from error
    metadata = policy.get_server_metadata()
    width = len(metadata["interface"]["action"])
    rate = options.rate or metadata.get("control_rate") or RATE
    report, ask = Report(), Asking(policy)
    try:
        driver = driver_of(options.driver, settings, metadata)
    except Exception as error:  # it raises what it likes
        raise Mismatch(f"--driver {options.driver}: {error or type(error).__name__}") from error
    try:
        with stopped_at_the_end(driver, say):
            observation = driver.observe()
            found = differences(driver, metadata, observation, rate, options.unnamed)
            other = recording.metadata["control_rate"] if recording else rate
            if abs(other / rate - 1) > 0.01:
                found.append(f"{rate:g} Hz; the recorder is for {other:g} Hz")
            if found:
                raise Mismatch("; ".join(found))
            try:
                action_of(ask(observation, 10.0), width)  # the first may be slow; nothing moves yet
            except Trouble as trouble:
                raise Mismatch(str(trouble)) from trouble
            held_by = metadata.get("guard", {}).get("hold", "unknown")
            pace = f"{rate:g} Hz{', as fast as it goes' * options.fast}"
            say(f"{metadata.get('policy')}: {pace}; hold: {held_by}")
            drive(
                driver,
                ask,
                Settings(rate, options.steps, options.held, options.patience, options.fast),
                report,
                width,
                say,
                recording.keep if recording else lambda observation, action: None,
            )
    except BaseException:
        if recording:
            with suppress(Lost):  # there is worse to tell; and never half an episode
                say(recording.finish(None))
        raise
    finally:
        if report.ticks:
            say(str(report))
    if recording:
        say(recording.finish(outcome(report, options.success)))


def main(arguments: list[str] | None = None) -> int:
    """0: went to its end; 1: was stopped; 2: was not moved; 130: ctrl-C."""

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    listen()
    try:
        run(parsed(sys.argv[1:] if arguments is None else arguments), say)
    except Mismatch as mismatch:
        sys.stderr.write(f"error: {mismatch}. Nothing was moved.\n")
        return 2
    except Lost as lost:
        sys.stderr.write(f"error: {lost}.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped: interrupted.\n")
        return 130
    except Exception as error:  # a driver raises what it likes
        kind = "" if isinstance(error, Trouble) else f"{type(error).__name__}: "
        sys.stderr.write(f"stopped: {kind}{error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
