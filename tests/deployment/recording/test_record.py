"""Real processes and a real socket: from a stream to a policy that could be served."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import hostile_clients
import numpy as np
import pytest
from conftest import PROGRAM
from in_process import refusal
from made_up_recordings import END, SUCCESS, episode, recording, row

from vip_offline.dataset.store import open_store
from vip_offline.deployment.server.client import Client
from vip_offline.deployment.serving_options import KEY_VARIABLE
from vip_offline.errors import VipOfflineError

pytestmark = pytest.mark.timeout(120)


def run(*arguments: str, code: int = 0, **environment: str) -> str:
    result = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=os.environ | environment,
    )
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


@pytest.mark.slow
def test_from_a_stream_to_a_policy(tmp_path: Path) -> None:
    store, arm = tmp_path / "push.zarr", tmp_path / "arm.toml"
    arm.write_text(
        'proprio = ["x [m]", "y [m]", "z [m]"]\naction = ["dx [cm]", "dy [cm]"]\n'
        '[key_map]\nproprio = ["q", "z"]\n'
    )
    with recording(store, "--describe", str(arm)) as server:
        assert "recorder of 'push' into" in server.ready
        with Client(port=server.port) as client:
            assert client.get_server_metadata()["proprio"] == ["x [m]", "y [m]", "z [m]"]
            for success in (True, False, True):
                for message in episode(6, success, first=int(success)):
                    proprio = message.pop("proprio")
                    reply = client.infer(message | {"q": proprio[:2], "z": proprio[2:]})
            assert (reply["recorded"], reply["episodes"], reply["in_store"]) == (6, 3, 3)
        output = server.end(signal.SIGTERM)
        assert server.process.returncode == 0, output
    assert "recorded 3 episodes, 18 rows (2 successes); 0 episodes discarded" in output
    output = json.loads(run("inspect", str(store), "--json"))
    assert (output["attributes"]["source"], output["attributes"]["control_rate"]) == (
        "client",
        10.0,
    )
    run("relabel", str(store), "--encoder", "pixels")
    policy = tmp_path / "policy"
    output = run("train", str(store), "--steps", "20", "--out", str(policy))
    run("ship", str(policy), "--describe", str(arm))
    report = json.loads(run("verify", str(policy), "--json"))
    interface = report["manifest"]["interface"]
    assert interface["action"] == ["dx [cm]", "dy [cm]"]
    assert interface["control_rate"] == 10.0
    assert (policy / "SHA256SUMS").exists()
    # and the next round goes on in the same store
    with recording(store) as server:
        assert "which holds 3 episodes" in server.ready
        with Client(port=server.port) as client:
            for message in episode(2, success=True):
                reply = client.infer(message)
        server.end(signal.SIGINT)
    assert (reply["episodes"], reply["in_store"]) == (1, 4)
    assert len(open_store(store)) == 4


def test_what_is_unfinished_at_the_end_is_left_out(tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    with recording(store) as server, Client(port=server.port) as client:
        for message in episode(3, success=True):
            client.infer(message)
        client.infer(row(0))
        output = server.end(signal.SIGINT)
        assert server.process.returncode == 0, output
    assert "left in the middle of an episode" in output
    assert "recorded 1 episodes, 3 rows (1 successes); 1 episodes discarded" in output
    assert open_store(store).rows == 3


def test_a_client_that_vanishes(tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    with recording(store) as server:
        client = Client(port=server.port)
        client.infer(row(0))
        with (
            pytest.raises(VipOfflineError, match="one client at a time writes"),
            Client(port=server.port),
        ):
            pass
        client.close()
        deadline = time.monotonic() + 20
        while True:  # the place is free again
            try:
                with Client(port=server.port) as client:
                    for message in episode(2, success=False):
                        reply = client.infer(message)
                break
            except VipOfflineError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert (reply["episodes"], reply["discarded"]) == (1, 1)
        output = server.end(signal.SIGTERM)
    assert "(1 rows; 1 discarded in all)" in output


def test_a_refused_row_is_told_and_closed(tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    with recording(store, "--max-steps", "2") as server:
        with Client(port=server.port) as client:
            client.infer(row(0))
            with pytest.raises(VipOfflineError, match="episode/end without episode/success"):
                client.infer(row(1) | {END: True})
            with pytest.raises(VipOfflineError, match="closed"):
                client.infer(row(1))
        with Client(port=server.port) as client:
            client.infer(row(0))
            client.infer(row(1))
            with pytest.raises(VipOfflineError, match="more than --max-steps 2 rows"):
                client.infer(row(2) | {END: True, SUCCESS: True})
        output = server.end(signal.SIGTERM)
    assert "recorded 0 episodes" in output and "2 episodes discarded" in output
    assert not store.exists()  # nothing binds the next try to this one's task and rate


def test_the_server_is_killed_in_the_middle(tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    with recording(store) as server, Client(port=server.port) as client:
        for message in episode(4, success=True):
            client.infer(message)
        client.infer(row(0))
        server.end(signal.SIGKILL)
        with pytest.raises(VipOfflineError, match="closed"):
            client.infer(row(1))
    reopened = open_store(store)
    reopened.require_finished()
    assert reopened.rows == 4


def test_an_api_key(tmp_path: Path) -> None:
    key = "a-key-of-some-length"
    (tmp_path / "key").write_text(key)
    with recording(tmp_path / "push.zarr", "--api-key-file", str(tmp_path / "key")) as server:
        with pytest.raises(VipOfflineError, match="401"):
            Client(port=server.port).close()
        with Client(port=server.port, api_key=key) as client:
            assert client.infer(row(0))["recorded"] == 1
        assert key not in server.end(signal.SIGTERM)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--from-client --control-rate 5", "--task: say in a few words"),
        ("--from-client --task push", "--control-rate: say how many actions per second"),
        ("--from-client --task push --control-rate 5 --episodes 3", "--episodes: belongs to the"),
        ("--from-client --task push --control-rate 5 --image-size 64", "--image-size: belongs"),
        ("--control-rate 5", "--control-rate: needs --from-client"),
        ("--port 8001", "--port: needs --from-client"),
        ("--drain-timeout 3", "--drain-timeout: needs --from-client"),
        ("--from-client --task push --control-rate 5 --host 0.0.0.0", "could write into the store"),
        (
            "--from-client --task push --control-rate 5 --max-steps 1",
            "--max-steps 1: must be at least 2",
        ),
        ("--from-client --task push --control-rate 5 --port 70000", "--port 70000"),
        ("--from-client --task push --describe nothing.toml", "nothing.toml"),
    ],
)
def test_what_is_refused_at_once(tmp_path: Path, options: str, says: str) -> None:
    assert says in refusal("record", tmp_path / "a.zarr", *options.split())
    assert not (tmp_path / "a.zarr").exists()


@pytest.mark.slow
def test_a_port_or_a_store_in_use(tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    arguments = ["record", str(store), "--from-client", "--task", "push", "--control-rate", "10"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        error = run(*arguments, "--port", str(taken.getsockname()[1]), code=2)
        assert "is in use on 127.0.0.1" in error
    assert not store.exists()
    with recording(store) as server:
        with Client(port=server.port) as client:
            for message in episode(2, success=True):
                client.infer(message)
        error = run(*arguments, "--port", "0", code=2)
        assert "another process is writing to it" in error
        server.end(signal.SIGTERM)
    other = [*arguments[:-1], "20"]
    assert "control_rate 10.0, now 20.0" in run(*other, "--port", "0", code=2)
    assert np.isfinite(open_store(store).data("proprio")).all()


RIVAL = """
import sys
from pathlib import Path
from vip_offline.errors import VipOfflineError
from vip_offline.deployment.recording import record_server
from vip_offline.deployment.server import server
from vip_offline.options import ServeOptions
from vip_offline.deployment.recording.record import record_from_client
from vip_offline.deployment.recording.episode_stream import RecordingInfo

print("imported", flush=True)
sys.stdin.readline()
try:
    say = lambda line: print(line, flush=True)
    info = RecordingInfo("push", 10.0)
    record_from_client(Path(sys.argv[1]), info, ServeOptions(port=0, lost=1.0), say)
except VipOfflineError as error:
    print(error, flush=True)
"""


def test_who_is_refused_leaves_a_folder_that_another_has_only_locked(tmp_path: Path) -> None:
    store = tmp_path / "push.zarr"
    store.mkdir()
    first = """
import sys
from pathlib import Path
from vip_offline.utils.files import only_writer

with only_writer(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", first, str(store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holding:
        assert holding.stdout
        holding.stdout.readline()
        arguments = ["--from-client", "--task", "push", "--control-rate", "10", "--port", "0"]
        assert "another process is writing to it" in run("record", str(store), *arguments, code=2)
        assert store.is_dir()
        holding.communicate("\n")


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_who_is_refused_leaves_the_store_of_who_was_first(tmp_path: Path, attempt: int) -> None:
    """Two at the same instant, while neither has made the store yet."""
    store = tmp_path / "push.zarr"
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        lines = [rival.stdout.readline() for rival in rivals if rival.stdout]
        assert lines == ["imported\n"] * 2
        for rival in rivals:
            assert rival.stdin
            rival.stdin.write("\n")
            rival.stdin.flush()
        first_lines = {rival: rival.stdout.readline() for rival in rivals if rival.stdout}
        (first,) = (rival for rival, line in first_lines.items() if "serving" in line)
        (second,) = (rival for rival in rivals if rival is not first)
        assert "another process is writing to it" in first_lines[second]
        assert second.wait(20) == 0
        port = int(re.findall(r"ws://.*?:(\d+)", first_lines[first])[0])
        with Client(port=port) as client:
            for message in episode(2, success=True):
                client.infer(message)
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
    finally:
        for rival in rivals:
            rival.kill()
            rival.communicate()
    assert len(open_store(store)) == 1


@pytest.mark.slow
def test_a_client_that_vanished_gives_its_place_back(tmp_path: Path) -> None:
    """It took a connection, and answers nothing: no ping, no goodbye."""

    async def vanished(port: int) -> None:
        _, writer = await hostile_clients.raw("127.0.0.1", port)
        try:
            assert await asyncio.to_thread(recorded, port)
        finally:
            writer.transport.abort()

    def recorded(port: int) -> int:
        deadline = time.monotonic() + 30
        while True:
            try:
                with Client(port=port) as client:
                    for message in episode(2, success=True):
                        reply = client.infer(message)
                return int(reply["episodes"])
            except VipOfflineError as error:
                assert "one client at a time" in str(error) and time.monotonic() < deadline
                time.sleep(0.05)

    store = tmp_path / "push.zarr"
    with subprocess.Popen(
        [sys.executable, "-c", RIVAL, str(store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdin and server.stdout
            server.stdin.write("\n")
            server.stdin.flush()
            assert server.stdout.readline() == "imported\n"
            port = int(re.findall(r"ws://.*?:(\d+)", server.stdout.readline())[0])
            asyncio.run(vanished(port))
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
        finally:
            server.kill()
    assert len(open_store(store)) == 1


def test_the_key_in_the_environment(tmp_path: Path) -> None:
    arguments = ["record", "a.zarr", "--from-client", "--task", "push", "--control-rate", "10"]
    message = run(*arguments, code=2, **{KEY_VARIABLE: "short"})
    assert f"${KEY_VARIABLE}: holds no API key" in message
