"""The stock openpi-client drives it unchanged; in an environment of its own, as on a robot."""

import json
import signal
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from made_up_recordings import recording
from made_up_serving import serving

from vip_offline.dataset.store import open_store
from vip_offline.deployment.server.codec import Limits, decode, encode

# an environment is made first
pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]
CLIENT = "openpi-client==0.1.2"
SIDE = Path(__file__).with_name("openpi_side.py")
LIMITS = Limits(1 << 20)


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the stock client and nothing of ours."""
    folder = tmp_path_factory.mktemp("robot")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    # it needs typing_extensions and does not say so
    needed = [[CLIENT, "typing_extensions"]]
    if sys.version_info >= (3, 13):
        # it asks for a NumPy below 2, of which there is no wheel; it works with those above
        needs = ["dm-tree", "msgpack", "numpy", "pillow", "typing_extensions", "websockets"]
        needed = [["--no-deps", CLIENT], needs]
    for packages in needed:
        result = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *packages],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            unreachable = ("Could not find a version", "Connection", "timed out", "resolution")
            if any(text in result.stderr for text in unreachable):
                pytest.skip(
                    f"NOT TESTED AGAINST OPENPI'S CLIENT: no package index. {result.stderr}"
                )
            pytest.fail(result.stderr)
    return python


def run(python: Path, *arguments: str, given: bytes = b"") -> bytes:
    result = subprocess.run(
        [python, SIDE, *arguments], input=given, capture_output=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def test_bytes_are_the_same(robot: Path) -> None:
    theirs = run(robot, "pack")
    read = decode(theirs, LIMITS)
    assert encode(read) == theirs
    assert len(read) == 12 * 5 + 12 + 1 + 1
    assert read["<f4 (2, 3)"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["<f4 (2, 3)"].dtype == np.float32
    assert read["columns"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert read["|u1 scalar"].dtype == np.uint8 and type(read["|u1 scalar"]) is np.uint8
    assert read["rest"] == [None, True, -5, 2.5, "text", b"bytes", {}]


def test_our_bytes_are_read_there(robot: Path) -> None:
    output = json.loads(run(robot, "unpack", given=encode({"a": np.arange(3, dtype=np.float32)})))
    assert output == "{'a': array([0., 1., 2.], dtype=float32)}"


def test_the_stock_client(robot: Path) -> None:
    key = "a-key-of-some-length"
    with serving(api_key=key, timeout=10) as server:
        output = json.loads(run(robot, "drive", str(server.port), key))
    metadata = output["metadata"]
    assert (metadata["policy"], metadata["control_rate"]) == ("obedient", 10.0)
    assert metadata["interface"]["frames"]["frame/front"]["shape"] == [4, 6, 3]
    first, second = output["replies"]
    assert first["actions"] == {"array": [[0.5, 0.25]], "dtype": "float32", "shape": [1, 2]}
    assert second["actions"]["array"] == [[0.75, 0.25]]  # x may move by 0.25
    assert second["guard"]["step"] == ["x [m/s]"]
    assert second["guard"]["novelty"] == 0.5
    assert second["guard"]["counts"] == {"actions": 2, "held": 0, "range": 0, "step": 1}
    assert set(first["server_timing"]) == {"infer_ms"}
    assert set(second["server_timing"]) == {"infer_ms", "prev_total_ms"}
    # one action at a time, out of chunks of one
    assert [reply["actions"]["shape"] for reply in output["chunk"]] == [[2], [2]]
    assert output["chunk"][1]["actions"]["array"] == [np.float32(0.8), 0.25]
    assert output["chunk"][1]["guard"]["counts"]["actions"] == 4
    assert "observation: has no 'frame/front'" in output["error"]
    assert "Traceback" not in output["error"]


def test_the_stock_client_records(robot: Path, tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    with recording(store) as server:
        answers = json.loads(run(robot, "record", str(server.port)))
        output = server.end(signal.SIGTERM)
    assert answers["metadata"]["control_rate"] == 10.0
    assert [reply["recorded"] for reply in answers["replies"]] == [1, 2, 3, 4]
    assert (answers["replies"][3]["episodes"], answers["replies"][3]["in_store"]) == (1, 1)
    assert "action has shape (3,); those before (2,)" in answers["error"]
    assert "recorded 1 episodes, 4 rows (1 successes); 0 episodes discarded" in output
    reopened = open_store(store)
    assert reopened.data("action")[:, 0].tolist() == [0, 1, 2, 3]
    assert reopened.frames("front", 0, 4)[3, 0, 0].tolist() == [180, 100, 40]


def test_the_control_loop_on_the_stock_client(robot: Path, tmp_path: Path) -> None:
    """recipes/robot/franka_loop.py in the same environment, in which nothing of ours is."""
    root = Path(__file__).parents[3]
    options = ["--client", "openpi", "--driver", "robot_side:Noted", "--steps", "5", "--fast"]
    options += ["--set", f"notes={tmp_path / 'notes'}", "--set", "frame=front", "--set", "size=4x6"]
    with serving(timeout=10) as server:
        options += ["--server", f"127.0.0.1:{server.port}", "--rate", "10"]
        result = subprocess.run(
            [str(robot), str(root / "recipes/robot/franka_loop.py"), *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PYTHONPATH": str(root / "tests")},
        )
    assert result.returncode == 0, result.stderr
    assert "5 ticks, 0 missed, 0 held" in result.stdout
    assert "vip_offline" not in result.stdout + result.stderr
