"""The robot's side as it is started there: a real process, a real server, a made-up arm."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAM
from made_up_recordings import recording
from made_up_serving import Serving, started

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.export import ship
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.run import train

ROBOT = Path(__file__).parents[1] / "recipes/robot"
LOOP = ROBOT / "franka_loop.py"
SHAPE = (64, 64, 3)
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Really trained, on noise that has the shapes of Meta-World."""
    folder = tmp_path_factory.mktemp("policy")
    store, out = folder / "demos.zarr", folder / "policy"
    generator = np.random.default_rng(0)
    said = {"source": "metaworld", "task": "drawer-close", "control_rate": 80.0}
    names = ["hand x [m]", "hand y [m]", "hand z [m]", "gripper opening"]
    with writing(store, create={**said, "proprio": names}) as opened:
        for index in range(3):
            opened.append(
                Episode(
                    frames={"corner": generator.integers(0, 256, (8, *SHAPE), dtype=np.uint8)},
                    proprio=generator.normal(size=(8, 4)).astype(np.float32),
                    action=generator.uniform(-1, 1, (8, 4)).astype(np.float32),
                    succeeded=np.arange(8) >= 7,
                    true_reward=np.full(8, np.nan, np.float32),
                    success=True,
                    placement=index,
                )
            )
    relabel(store, RelabelOptions(encoder="pixels"))
    train(store, TrainOptions(algo="bc", steps=20, hidden=(16,)), out)
    ship(out)
    return out


@pytest.fixture
def server(policy: Path) -> Iterator[Serving]:
    command = [*PROGRAM, "serve", str(policy), "--port", "0", "--timeout", "20"]
    with started(command) as one:
        yield one


def loop(server: Serving | int, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    port = server if isinstance(server, int) else server.port
    return subprocess.run(
        [sys.executable, LOOP, "--server", f"127.0.0.1:{port}", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        **more,
    )


def noted(notes: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in notes.read_text().splitlines()]


def kinds(notes: Path) -> list[str]:
    return [next(iter(each)) for each in noted(notes)]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes.jsonl"


def made_up(notes: Path, *more: str) -> list[str]:
    """Options of the loop for the made-up driver; `more` are KEY=VALUE for it."""
    options = ["--driver", "robot_side:Noted", "--rate", "80"]
    for each in (f"notes={notes}", *more):
        options += ["--set", each]
    return options


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("pace", ["--fast", "in real time"])
def test_a_simulated_arm_through_the_socket(server: Serving, pace: str) -> None:
    options = ["--driver", "metaworld", "--steps", "12", "--patience", "5"]
    result = loop(server, *options, *([pace] if pace == "--fast" else []))
    assert result.returncode == 0, result.stderr
    assert "policy: 80 Hz" in result.stdout
    assert "12 ticks" in result.stdout and "not solved" in result.stdout
    assert "0 held" in result.stdout
    assert "the robot was stopped" in result.stdout
    assert "13 actions" in server.end(signal.SIGTERM)  # and one before anything moved


@pytest.mark.slow
def test_the_rate_is_kept(server: Serving, notes: Path) -> None:
    options = ["--steps", "20", "--rate", "80", "--patience", "5"]
    result = loop(server, *made_up(notes), *options)
    assert result.returncode == 0, result.stderr
    assert kinds(notes) == ["observe", *["observe", "act"] * 20, "stop"]
    times = [each["at"] for each in noted(notes) if "observe" in each][1:]
    missed = int(result.stdout.split(" ticks, ")[1].split(" ")[0])
    # a busy computer wakes up late; never early
    assert (19 + missed - 1) / 80 <= times[-1] - times[0] <= (19 + missed + 8) / 80


@pytest.mark.slow
def test_what_is_done_is_what_the_server_said(server: Serving, notes: Path) -> None:
    loop(server, *made_up(notes), "--steps", "3", "--fast", "--patience", "5")
    for each in noted(notes):
        if "act" in each:
            assert len(each["act"]) == 4
            assert max(map(abs, each["act"])) > 0


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_dies_or_says_nothing_stops_the_robot(
    server: Serving, notes: Path, by: signal.Signals
) -> None:
    more = [f"kill={server.process.pid}", f"by={int(by)}"]
    result = loop(server, *made_up(notes, *more), "--patience", "0.5")
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stderr.startswith("stopped: ")
    assert ("has not answered for 0.5 s" if by == signal.SIGSTOP else "closed") in result.stderr
    assert "Traceback" not in result.stderr
    assert kinds(notes)[-2:] == ["observe", "stop"]
    assert kinds(notes).count("act") == 5
    last, stop = noted(notes)[-2:]
    assert stop["at"] - last["at"] < 2


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_the_robot_is_stopped(
    server: Serving, notes: Path, by: signal.Signals
) -> None:
    command = [sys.executable, str(LOOP), "--server", f"127.0.0.1:{server.port}"]
    process = subprocess.Popen(
        [*command, *made_up(notes), "--steps", "100000", "--patience", "5"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    try:
        ready = threading.Event()
        while not (notes.exists() and kinds(notes).count("act") > 3):
            ready.wait(0.02)
            assert process.poll() is None
        process.send_signal(by)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == "stopped: interrupted.\n"
    assert kinds(notes)[-1] == "stop"


@pytest.mark.slow
def test_a_driver_that_fails_is_stopped(server: Serving, notes: Path) -> None:
    result = loop(server, *made_up(notes, "fail=4"), "--patience", "5")
    assert result.returncode == 1
    assert result.stderr == "stopped: RuntimeError: the camera is gone.\n"
    assert kinds(notes)[-2:] == ["observe", "stop"]


@pytest.mark.slow
def test_a_robot_that_cannot_be_stopped_is_shouted_about(server: Serving, notes: Path) -> None:
    result = loop(server, *made_up(notes, "stop=fails"), "--steps", "2", "--patience", "5")
    assert result.returncode == 1
    assert "THE ROBOT COULD NOT BE STOPPED (RuntimeError: no answer from the arm)" in result.stderr
    assert "was stopped" not in result.stdout


@pytest.mark.slow
def test_a_policy_that_is_held_stops_the_robot(policy: Path, notes: Path) -> None:
    command = [*PROGRAM, "serve", str(policy), "--port", "0", "--timeout", "20"]
    with started([*command, "--stop-above", "1e-9"]) as one:
        options = ["--held", "3", "--patience", "5", "--fast"]
        result = loop(one, *made_up(notes), *options)
    assert result.returncode == 1, result.stdout
    assert "stopped: held for 4 ticks: Novelty" in result.stderr
    assert kinds(notes) == ["observe", *["observe", "act"] * 3, "observe", "stop"]
    assert [each["act"] for each in noted(notes) if "act" in each] == [[0.0] * 4] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["size=64x32"], "frame/corner is uint8 (64, 32, 3); the policy takes uint8 (64, 64, 3)"),
        (["action=a,b,c,d"], "action of the driver is a, b, c, d; of the policy: hand dx [cm]"),
        (["action="], "of the policy: hand dx"),
        (["rate=25"], "80 Hz; the driver is for 25 Hz"),
    ],
)
def test_a_driver_of_another_kind_is_not_moved(
    server: Serving, notes: Path, more: list[str], says: str
) -> None:
    result = loop(server, *made_up(notes, *more))
    assert result.returncode == 2, result.stdout + result.stderr
    assert says in result.stderr and "Nothing was moved" in result.stderr
    assert "act" not in kinds(notes)


@pytest.mark.slow
def test_another_rate_is_not_the_policys(server: Serving, notes: Path) -> None:
    result = loop(server, *made_up(notes), "--rate", "20")
    assert result.returncode == 2
    assert "20 Hz; the policy is for 80 Hz" in result.stderr


def test_nobody_there(tmp_path: Path) -> None:
    result = loop(1, "--driver", "metaworld")
    assert result.returncode == 2
    assert "cannot connect" in result.stderr and "Nothing was moved" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("done", [True, False, None])
def test_what_it_does_can_be_recorded(
    server: Serving, notes: Path, tmp_path: Path, done: bool | None
) -> None:
    store = tmp_path / "again.zarr"
    said = {True: ["done=6"], False: ["done=100"], None: []}[done]
    with recording(store, "--control-rate", "80") as recorder:
        options = ["--steps", "8", "--patience", "5", "--record", f"127.0.0.1:{recorder.port}"]
        result = loop(server, *made_up(notes, *said), *options)
        assert result.returncode == 0, result.stderr
        output = recorder.end(signal.SIGTERM)
    rows = 6 if done else 8
    if done is None:  # nobody at a terminal, and the driver cannot tell
        assert "the episode was discarded" in result.stdout
        assert "recorded 0 episodes" in output and "1 episodes discarded" in output
        return
    assert f"recorded {rows} rows as a {'success' if done else 'failure'}; 1 ep" in result.stdout
    found = open_store(store)
    assert found.rows == rows and found.meta("success").tolist() == [done]
    acted = [each["act"] for each in noted(notes) if "act" in each]
    np.testing.assert_allclose(found.data("action"), acted, atol=1e-6)
    assert found.frames("corner", 0, rows)[:, 0, 0, 0].tolist() == list(range(2, rows + 2))


@pytest.mark.slow
def test_an_episode_that_was_cut_short_is_not_recorded(
    server: Serving, notes: Path, tmp_path: Path
) -> None:
    with recording(tmp_path / "again.zarr", "--control-rate", "80") as recorder:
        options = ["--patience", "5", "--record", f"127.0.0.1:{recorder.port}"]
        result = loop(server, *made_up(notes, "fail=6"), *options)
        assert result.returncode == 1
        output = recorder.end(signal.SIGTERM)
    assert "the episode was discarded" in result.stdout
    assert "recorded 0 episodes" in output and "1 episodes discarded" in output


@pytest.mark.slow
def test_a_recorder_that_dies_does_not_stop_the_robot(
    server: Serving, notes: Path, tmp_path: Path
) -> None:
    with recording(tmp_path / "again.zarr", "--control-rate", "80") as recorder:
        options = ["--steps", "12", "--patience", "5", "--record", f"127.0.0.1:{recorder.port}"]
        result = loop(server, *made_up(notes, f"kill={recorder.process.pid}"), *options)
    assert result.returncode == 1
    assert "error: the episode was not recorded" in result.stderr
    assert kinds(notes).count("act") == 12


@pytest.mark.slow
def test_a_recorder_of_another_rate(server: Serving, notes: Path, tmp_path: Path) -> None:
    with recording(tmp_path / "again.zarr") as recorder:
        result = loop(server, *made_up(notes), "--record", f"127.0.0.1:{recorder.port}")
    assert result.returncode == 2
    assert "80 Hz; the recorder is for 10 Hz" in result.stderr


# --- the loop's parts, with a clock of our own ---------------------------------------------


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROBOT / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if name in sys.modules:  # where its dataclasses look
        sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "franka_loop", ModuleType("franka_loop"))
    return loaded("franka_loop")


class Clocked:
    """A driver that takes as long as it is told to."""

    proprio: tuple[str, ...] = ()
    action: tuple[str, ...] = ("x [m/s]",)
    rate: float | None = None

    def __init__(self, durations: list[float]) -> None:
        self.now = 100.0
        self._durations = iter(durations)
        self.seen: list[float] = []

    def observe(self) -> dict[str, Any]:
        self.seen.append(round(self.now - 100, 6))
        self.now += next(self._durations)
        return {"proprio": np.zeros(1, np.float32)}

    def act(self, action: Any) -> None: ...

    def done(self) -> bool | None:
        return None

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def test_late_ticks_are_left_out_and_nothing_drifts(
    parts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 10 Hz: the second takes 0.25 s, so those due at 0.2 and 0.3 are left out; 0.1 is just in time
    driver = Clocked([0.03, 0.25, 0.09, 0.01, 0.1, 0.02])
    clock = SimpleNamespace(
        perf_counter=lambda: driver.now, monotonic=lambda: driver.now, sleep=driver.sleep
    )
    monkeypatch.setattr(parts, "time", clock)
    report = parts.Report()
    reply = {"actions": np.zeros((1, 1), np.float32)}
    parts.drive(driver, lambda o, p: reply, parts.Settings(10.0, 6), report, 1, print)
    assert driver.seen == pytest.approx([0, 0.1, 0.4, 0.5, 0.6, 0.7], abs=1e-6)
    assert (report.ticks, report.missed) == (6, 2)


@pytest.mark.parametrize(
    "actions",
    [
        np.full((1, 2), np.nan, np.float32),
        np.zeros((1, 3), np.float32),
        np.zeros(2, np.float32),
        np.zeros((1, 2), np.int64),
        None,
    ],
)
def test_what_is_no_action_is_not_done(parts: ModuleType, actions: Any) -> None:
    with pytest.raises(parts.Trouble, match="the server's action"):
        parts.action_of({"actions": actions}, 2)


def test_nothing_is_done_where_the_server_holds_and_has_no_action_yet(parts: ModuleType) -> None:
    driver = Clocked([0.0] * 4)
    acted: list[float] = []
    driver.act = lambda action: acted.append(float(action[0]))  # type: ignore[method-assign]
    held = {"actions": np.zeros((0, 1), np.float32), "guard": {"held": True, "error": "NaN"}}
    replies = [held, {"actions": np.ones((1, 1), np.float32)}, held, held]
    report, kept = parts.Report(), list[dict[str, Any]]()
    settings = parts.Settings(1000.0, 3)
    parts.drive(
        driver, lambda o, p: replies[report.ticks], settings, report, 1, print,
        lambda observation, action: kept.append(observation),
    )  # fmt: skip
    assert (acted, len(kept), report.ticks, report.held) == ([1.0], 1, 3, 2)
    with pytest.raises(parts.Trouble, match="held for 1 ticks: NaN"):
        parts.drive(driver, lambda o, p: held, replace(settings, held=0), parts.Report(), 1, print)
    with pytest.raises(parts.Trouble, match="the server's actions are"):
        parts.action_of({"actions": np.zeros((0, 1), np.float32)}, 1)  # not said to be held


@pytest.mark.parametrize(
    ("kind", "hold", "theirs", "says"),
    [
        ("velocity", "zero", "velocity", ""),
        ("velocity", "zero", "delta", ""),
        ("position", "last", "position", ""),
        ("", "last", "velocity", ""),
        ("velocity", [0.0], "", ""),
        ("velocity", "last", "", "holds by repeating a velocity: serve with --hold zero"),
        ("position", "zero", "", "holds by the position 0: serve with --hold last"),
        ("position", "last", "delta", "an action of the driver is a position; of the policy: a de"),
    ],
)
def test_a_hold_that_would_move_the_robot_is_seen_before_it_moves(
    parts: ModuleType, kind: str, hold: Any, theirs: str, says: str
) -> None:
    driver = Clocked([])
    driver.proprio, driver.action_kind = ("x [m]",), kind  # type: ignore[attr-defined]
    interface = {"frames": {}, "proprio": ["x [m]"], "action": ["x [m/s]"], "action_kind": theirs}
    metadata = {"interface": interface, "guard": {"hold": hold}}
    observation = {"proprio": np.zeros(1, np.float32)}
    found = parts.differences(driver, metadata, observation, 25.0, False)
    assert len(found) == bool(says) and all(says in each for each in found)


def test_numbers_that_nobody_named(parts: ModuleType) -> None:
    driver = Clocked([])
    driver.proprio = ("x [m]",)
    interface = {"frames": {}, "proprio": ["x [m]"], "action": ["action[0]"], "key_map": {}}
    observation = {"proprio": np.zeros(1, np.float32)}
    (said,) = parts.differences(driver, {"interface": interface}, observation, 25.0, False)
    assert "the policy does not say what its action is" in said
    assert parts.differences(driver, {"interface": interface}, observation, 25.0, True) == []


def test_a_driver_may_speak_the_robots_own_names(parts: ModuleType) -> None:
    driver = Clocked([])
    driver.proprio = ("a", "b", "c")
    interface = {
        "frames": {"frame/front": {"shape": [4, 6, 3]}},
        "proprio": ["a", "b", "c"],
        "action": ["x [m/s]"],
        "key_map": {"frame/front": "rgb", "proprio": ["q", "g"]},
    }
    observation = {"rgb": np.zeros((4, 6, 3), np.uint8), "q": np.zeros(2), "g": np.zeros(1)}
    assert parts.differences(driver, {"interface": interface}, observation, 25.0, False) == []
    del observation["g"]
    (said,) = parts.differences(driver, {"interface": interface}, observation, 25.0, False)
    assert said == "the driver gives no 'g' (rgb, q)"


# --- franky and OpenCV, of which only the shape is made up ---------------------------------


class MadeUpFranka:
    """What the driver uses of franky.Robot and franky.Gripper."""

    def __init__(self, host: str, **options: Any) -> None:
        self.moves: list[Any] = []
        self.is_in_control = False
        self.width = 0.04
        self.current_joint_state = SimpleNamespace(position=np.arange(7.0))
        self.brakes = True

    def poll_motion(self) -> bool:
        return self.is_in_control

    def move(self, motion: Any, asynchronous: bool) -> None:
        assert asynchronous
        self.is_in_control = True
        self.moves.append(motion)

    def join_motion(self, timeout: float) -> bool:
        return self.brakes

    def stop(self) -> None:
        self.moves.append("stop")

    def grasp_async(self, *options: float, epsilon_outer: float) -> None:
        self.moves.append("grasp")

    def open_async(self, speed: float) -> None:
        self.moves.append("open")


@pytest.fixture
def franka(parts: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    picture = np.full((48, 64, 3), (10, 20, 30), np.uint8)  # BGR
    camera = SimpleNamespace(
        set=lambda *_: None, read=lambda: (True, picture), release=lambda: None
    )
    made_up: dict[str, dict[str, Any]] = {
        "cv2": {
            "VideoCapture": lambda place: camera,
            "CAP_PROP_BUFFERSIZE": 0,
            "INTER_AREA": 0,
            "resize": lambda frame, size, interpolation: frame[: size[1], : size[0]],
        },
        "franky": {
            "Robot": MadeUpFranka,
            "Gripper": MadeUpFranka,
            "Duration": int,
            "RealtimeConfig": SimpleNamespace(Enforce=1, Ignore=2),
            "JointVelocityMotion": lambda velocity, duration: (velocity.tolist(), duration),
            "JointVelocityStopMotion": lambda: "brake",
        },
    }
    for name, contents in made_up.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    interface = {"frames": {"frame/front": {"shape": [32, 40, 3]}}}
    return parts.FrankaArm({"robot": "x"}, {"interface": interface, "control_rate": 30.0})


def test_franka_sees_and_moves_within_its_limit(franka: Any) -> None:
    found = franka.observe()
    assert found["frame/front"].shape == (32, 40, 3)
    assert found["frame/front"][0, 0].tolist() == [30, 20, 10]  # RGB
    np.testing.assert_allclose(found["proprio"], [0, 1, 2, 3, 4, 5, 6, 0.04])
    assert found["proprio"].dtype == np.float32
    franka.act(np.array([0.1, -9, 9, 0, 0, 0, 0, 1.0], np.float32))
    velocity, held = franka._robot.moves[0]
    assert velocity == pytest.approx([0.1, -0.3, 0.3, 0, 0, 0, 0])
    assert held == 100  # ms: three ticks of 30 Hz, and then it brakes by itself
    for closing in (0.9, 0.5, 0.1, 0.5, 0.0):
        franka.act(np.array([0] * 7 + [closing], np.float32))
    assert franka._gripper.moves == ["grasp", "open"]


def test_franka_brakes_or_is_stopped(franka: Any) -> None:
    franka.stop()
    assert franka._robot.moves == []  # nothing moves
    franka.act(np.zeros(8, np.float32))
    franka.stop()
    assert franka._robot.moves[1:] == ["brake"]
    franka._robot.brakes = False
    franka.stop()
    assert franka._robot.moves[2:] == ["brake", "stop"]


# --- ROS 2, of which only the shape is made up ---------------------------------------------


class Message(SimpleNamespace):
    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"header": SimpleNamespace(stamp=None), **fields})


class MadeUpNode:
    """What ros2_node.py uses of rclpy.node.Node."""

    def __init__(self, name: str) -> None:
        self.published: list[Any] = []
        self.heard: dict[str, Any] = {}

    def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        return SimpleNamespace(publish=lambda message: self.published.append((topic, message)))

    def create_subscription(self, kind: type, topic: str, heard: Any, qos: Any) -> None:
        self.heard[topic] = heard

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: "now"))


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    executor = SimpleNamespace(add_node=lambda node: None, spin=lambda: None)
    made_up: dict[str, dict[str, Any]] = {
        "rclpy": {"init": lambda **_: None},
        "rclpy.executors": {"SingleThreadedExecutor": lambda: executor},
        "rclpy.node": {"Node": MadeUpNode},
        "rclpy.qos": {"qos_profile_sensor_data": None},
        "rclpy.signals": {"SignalHandlerOptions": SimpleNamespace(NO=0)},
        "control_msgs.msg": {"JointJog": Message},
        "sensor_msgs.msg": {"Image": Message, "JointState": Message},
        "std_msgs.msg": {"Float64MultiArray": Message},
    }
    for name, contents in made_up.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    for package in ("control_msgs", "sensor_msgs", "std_msgs"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    return loaded("ros2_node")


ARM = {"interface": {"frames": {"frame/front": {"shape": [2, 3, 3]}}}}
STATE = Message(name=["b", "a", "c"], position=[2.0, 1.0, 3.0])


def picture(encoding: str = "bgr8") -> Message:
    """Two rows of three pixels and a padding of two bytes; each pixel is (0, 1, 2)."""
    row = bytes([0, 1, 2] * 3 + [77, 77])
    return Message(encoding=encoding, height=2, width=3, step=11, data=row * 2)


@pytest.mark.parametrize(("encoding", "red"), [("rgb8", 0), ("bgr8", 2)])
def test_ros_messages_become_an_observation(ros: ModuleType, encoding: str, red: int) -> None:
    arm = ros.arm({"joints": "a,b"}, ARM)
    arm.heard["/camera/color/image_raw"](picture(encoding))
    arm.heard["/joint_states"](STATE)
    found = arm.observe()
    assert found["proprio"].tolist() == [1.0, 2.0]
    assert found["proprio"].dtype == np.float32
    assert found["frame/front"].shape == (2, 3, 3)
    assert found["frame/front"][1, 2].tolist() == [red, 1, 2 - red]
    assert arm.action == ("a velocity [rad/s]", "b velocity [rad/s]")
    arm.act(np.array([0.1, 9.0], np.float32))
    ((topic, message),) = arm.published
    assert topic == "/velocity_controller/commands"
    assert message.data == pytest.approx([0.1, 0.3])
    arm.stop()
    assert [each.data for _, each in arm.published[1:]] == [[0.0, 0.0]] * 5


def test_ros_servo_is_stopped_by_silence(ros: ModuleType) -> None:
    arm = ros.arm({"joints": "a,b", "as": "jog", "commands": "/servo"}, ARM)
    arm.act(np.array([0.1, -0.2], np.float32))
    ((topic, message),) = arm.published
    assert (topic, message.joint_names, message.header.stamp) == ("/servo", ["a", "b"], "now")
    assert message.velocities == pytest.approx([0.1, -0.2])
    arm.stop()
    assert len(arm.published) == 1


def test_ros_what_is_old_or_missing_is_no_observation(
    ros: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ros, "FIRST", 0.05)
    arm = ros.arm({"joints": "a,d", "stale": "0.05"}, ARM)
    with pytest.raises(RuntimeError, match="image: nothing came"):
        arm.observe()
    arm.heard["/camera/color/image_raw"](picture())
    arm.heard["/joint_states"](STATE)
    with pytest.raises(RuntimeError, match=r"no d \(b, a, c\)"):
        arm.observe()
    time.sleep(0.1)
    arm.heard["/joint_states"](STATE)
    with pytest.raises(RuntimeError, match=r"image: the newest is 0\.\d+ s old"):
        arm.observe()
    arm.heard["/camera/color/image_raw"](picture("mono8"))
    arm.heard["/joint_states"](Message(name=["a", "d"], position=[0.0, 0.0]))
    with pytest.raises(RuntimeError, match="the picture is mono8"):
        arm.observe()
