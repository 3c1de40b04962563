"""The command as a user types it, with a policy that was really trained."""

import json
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM, SIZE
from in_process import refusal
from made_up_serving import started

from vip_offline.deployment.server.client import Client
from vip_offline.deployment.server.serve import log_file
from vip_offline.deployment.serving_options import KEY_VARIABLE
from vip_offline.policies.runtime import load_policy

pytestmark = pytest.mark.slow


@pytest.fixture
def policy(labelled: Path, tmp_path: Path) -> Path:
    out = tmp_path / "policy"
    command = [*PROGRAM, "train", str(labelled), "--algo", "bc", "--steps", "20", "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def refused(*arguments: str, **environment: str) -> str:
    return refusal("serve", *arguments, cwd=None, **environment)


def test_a_trained_policy_is_served(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-key-of-some-length\n")
    command = [*PROGRAM, "serve", str(policy), "--port", "0", "--log", str(tmp_path / "log.jsonl")]
    command += ["--api-key-file", str(tmp_path / "key"), "--hold", "last", "--timeout", "20"]
    command += ["--key-map", '{"proprio": ["xyz", "gripper"], "frame/front": "rgb"}']
    observation = {
        "rgb": np.full((SIZE, SIZE, 3), 50, np.uint8),
        "xyz": np.array([0.1, 0.2, 0.3], np.float32),
        "gripper": 0.5,
    }
    with started(command) as server:
        assert str(policy) in server.ready.replace("\n", "")
        with Client(port=server.port, api_key="a-key-of-some-length") as client:
            metadata = client.get_server_metadata()
            reply = client.infer(observation)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            message = refused(str(policy), "--port", str(taken.getsockname()[1]))
        output = server.end(signal.SIGINT)
        assert server.process.returncode == 0, output
    assert "is in use on 127.0.0.1" in message
    assert metadata["policy"] == "policy"
    assert "a-key-of-some-length" not in json.dumps(metadata) + output
    assert "served 1 actions on 1 connections" in output
    local = load_policy(policy)
    expected = local.act(
        {
            "frame/front": observation["rgb"],
            "proprio": np.array([0.1, 0.2, 0.3, 0.5], np.float32),
        }
    )
    low, high = (np.array(limit) for limit in (local.interface.low, local.interface.high))
    np.testing.assert_allclose(reply["actions"], [np.clip(expected, low, high)], atol=1e-6)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line.get("opened", False) for line in lines] == [True, False]
    np.testing.assert_allclose(lines[1]["action"], reply["actions"][0], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--host 0.0.0.0", "--host 0.0.0.0: other computers could command the robot"),
        ("--hold sometimes", "--hold sometimes: expected auto, zero, last"),
        ("--timeout 0", "--timeout 0: must be above 0"),
        ("--port 70000", "--port 70000"),
        ("--api-key-file /nowhere/key", "/nowhere/key: No such file"),
        ("", "nothing-here"),
    ],
)
def test_what_is_refused_before_anything_is_loaded(options: str, says: str) -> None:
    assert says in refused("nothing-here", *options.split())


def test_a_key_in_the_environment_that_is_none() -> None:
    message = refused("nothing-here", "--host", "0.0.0.0", **{KEY_VARIABLE: "short"})
    assert f"${KEY_VARIABLE}: holds no API key" in message


def test_a_full_disk_costs_the_log_and_not_the_robot(tmp_path: Path) -> None:
    messages: list[str] = []
    with log_file(Path("/dev/full"), messages.append) as log:
        for _ in range(100):
            log("{}")
    assert messages == ["--log: No space left on device; nothing more is logged."]
    with log_file(tmp_path / "log.jsonl", messages.append) as log:
        for _ in range(100):
            log("{}")
    assert (tmp_path / "log.jsonl").read_text() == "{}\n" * 100
    assert len(messages) == 1
