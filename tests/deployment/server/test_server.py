import asyncio
import contextlib
import fcntl
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hostile_clients
import numpy as np
import pytest
from made_up_serving import Serving, observation, serving
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from vip_offline.deployment.server.client import Client
from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.deployment.server.server import hang_up
from vip_offline.errors import VipOfflineError

pytestmark = pytest.mark.timeout(60)
KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def shared() -> Iterator[Serving]:
    with serving(timeout=30, idle=40) as server:
        yield server


@pytest.fixture
def other(shared: Serving) -> Iterator[Client]:
    """A client of the same server, whose robot must not notice anything."""
    with Client(port=shared.port) as client:
        client.infer(observation())
        yield client
        assert client.infer(observation(0.1))["guard"]["held"] is False


def raw(port: int, **more: Any) -> ClientConnection:
    address = f"ws://127.0.0.1:{port}"
    talk: ClientConnection = connect(address, compression=None, max_size=None, proxy=None, **more)
    return talk


def refused(talk: ClientConnection, message: bytes | str) -> str:
    """What a client is told before its connection is closed with 1011."""
    talk.recv(10)
    talk.send(message)
    why = talk.recv(10)
    assert isinstance(why, str)
    with pytest.raises(ConnectionClosed) as closed:
        talk.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
    return why


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "message: ends too early"),
        (b"\xc1", "message: is no msgpack"),
        (b"\x80", "observation: has no 'frame/front'"),
        (b"\x91" * 1000, "message: maps and lists more than 8 deep"),
        ("hello", "message: is text"),
        (encode({"proprio": np.zeros(4)}), "observation: has no 'frame/front'"),
        (encode(observation() | {"proprio": np.zeros(9)}), "expected (4,)"),
        (encode(observation() | {"frame/front": np.zeros((4, 6, 3))}), "expected uint8"),
        (encode(observation(seconds=-1)), "The server failed (RuntimeError); see its terminal."),
    ],
)
def test_a_bad_message_costs_its_own_connection(
    shared: Serving, other: Client, message: bytes | str, says: str
) -> None:
    with raw(shared.port) as talk:
        why = refused(talk, message)
    assert says in why
    assert "Traceback" not in why and "luck" not in why


def test_what_is_sent_cannot_write_on_the_terminal() -> None:
    with serving() as server:
        with raw(server.port) as talk:
            why = refused(
                talk, encode({"\x1b[2J\nserving": 1, **{f"{i}" * 90: i for i in range(30)}})
            )
        output = server.end(signal.SIGTERM)
    assert "observation: has no 'frame/front'" in why
    assert len(why) < 600
    assert "\x1b" not in why + output
    assert "\nserving" not in output


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_of_floats_are_told_apart_from_what_is_too_big(
    dtype: type[np.floating[Any]],
) -> None:
    """Large pictures: as floats they are 4 and 8 times as many bytes as uint8."""
    size = (256, 256, 3)
    with serving(size=size) as server, Client(port=server.port) as client:
        frame = np.full(size, 0.5, dtype)
        with pytest.raises(VipOfflineError) as refusal:
            client.infer(observation() | {"frame/front": frame})
        output = server.end(signal.SIGTERM)
    name = np.dtype(dtype).name
    says = f"frame/front is {name}; expected uint8 from 0 to 255, RGB. Its values lie between 0 and"
    assert says in str(refusal.value) and "send np.round(255 * frame)" in str(refusal.value)
    assert "1009" not in output


def test_a_huge_message_is_not_taken_in(shared: Serving, other: Client) -> None:
    with raw(shared.port) as talk:
        talk.recv(10)
        with pytest.raises(ConnectionClosed) as closed:
            talk.send(bytes(50_000_000))
            talk.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_compression_is_not_offered(shared: Serving) -> None:
    with connect(f"ws://127.0.0.1:{shared.port}", proxy=None) as talk:
        assert talk.response is not None
        assert "Sec-WebSocket-Extensions" not in talk.response.headers


def test_no_web_page_may_command_a_robot(shared: Serving) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        raw(shared.port, origin="http://localhost")
    assert refusal.value.response.status_code == 403


def test_health(shared: Serving, other: Client) -> None:
    for path, status in (("/healthz", 200), ("/", 426)):
        talk = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
        talk.request("GET", path)
        assert talk.getresponse().status == status
        talk.close()


def test_what_is_no_http_at_all(shared: Serving, other: Client) -> None:
    for noise in (b"\x16\x03\x01" * 100, b"GET " + b"a" * 100_000, b"\r\n" * 10):
        with socket.create_connection(("127.0.0.1", shared.port), 10) as talk:
            talk.sendall(noise)


def test_many_clients_at_once_each_get_their_own_answers(shared: Serving) -> None:
    def drive(index: int) -> list[float]:
        with Client(port=shared.port) as client:
            moved = [client.infer(observation(index / 10, 0.1))["actions"][0, 0] for _ in range(50)]
        return [float(value) for value in set(moved)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(drive, range(8)))
    assert answers == [[float(np.float32(index / 10))] for index in range(8)]


@pytest.mark.slow
def test_who_asks_again_and_again_does_not_crowd_out_the_others(shared: Serving) -> None:
    """One connection sends 40 questions at once, each of 50 ms; another waits for one of them."""
    with raw(shared.port) as greedy, Client(port=shared.port) as patient:
        greedy.recv(10)
        question = encode(observation(seconds=0.05))

        def send() -> None:
            for _ in range(40):
                greedy.send(question)

        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(0.1)
        waited = []
        for _ in range(5):
            start = time.monotonic()
            patient.infer(observation())
            waited.append(time.monotonic() - start)
        # all of the others first would take 2 s
        assert statistics.median(waited) < 0.5
        for _ in range(40):
            assert isinstance(greedy.recv(10), bytes)
        sending.join()


@pytest.mark.slow
def test_the_loop_goes_on_while_the_policy_thinks(shared: Serving) -> None:
    with raw(shared.port) as slow:
        slow.recv(10)
        slow.send(encode(observation(seconds=2)))
        start = time.monotonic()
        talk = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
        talk.request("GET", "/healthz")
        assert talk.getresponse().status == 200
        talk.close()
        assert time.monotonic() - start < 1.5
        slow.recv(10)


@pytest.mark.slow
def test_silence_is_answered_with_the_hold_action_and_long_silence_with_the_end() -> None:
    with serving(timeout=0.5, idle=1.5) as server, Client(port=server.port) as client:
        assert client.infer(observation(0.2))["actions"].tolist() == [[np.float32(0.2), 0]]
        time.sleep(0.8)
        reply = client.infer(observation(0.2))
        assert (reply["actions"].tolist(), reply["guard"]["reason"]) == ([[0, 0]], "timeout")
        assert client.infer(observation(0.2))["guard"]["held"] is False
        time.sleep(2.2)
        with pytest.raises(VipOfflineError, match=r"(No whole message for 1.5 s)|(is closed)"):
            client.infer(observation())
        output = server.end(signal.SIGTERM)
    assert "closed. No whole message for 1.5 s." in output
    assert "served 3 actions on 1 connections" in output
    assert "1 held (timeout 1)" in output


@pytest.mark.slow
def test_a_slow_sender_costs_its_own_connection_only() -> None:
    """A frame begun and never ended, byte by byte; a handshake never made."""
    with (
        serving(timeout=1.4, idle=1.5, opening=1.0) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as silent,
        raw(server.port) as trickling,
        Client(port=server.port) as good,
    ):
        trickling.recv(10)
        begun = time.monotonic()
        # a masked binary frame of 60,000 bytes, of which a few come
        trickling.socket.sendall(b"\x82\xfe\xea\x60" + bytes(4))
        gone = None
        while time.monotonic() - begun < 8 and gone is None:
            assert good.infer(observation())["guard"]["reason"] == ""
            try:
                trickling.socket.sendall(b"\x00")
                if time.monotonic() - begun > 0.2:
                    trickling.recv(0)
            except TimeoutError:
                pass
            except (ConnectionClosed, OSError):
                gone = time.monotonic() - begun
            time.sleep(0.1)
        assert gone is not None
        silent.settimeout(5)
        assert silent.recv(100) == b""  # hung up


def test_one_too_many() -> None:
    with serving(max_connections=2) as server:
        with Client(port=server.port) as first, Client(port=server.port):
            with pytest.raises(VipOfflineError, match="503"):
                Client(port=server.port)
            first.infer(observation())
        deadline = time.monotonic() + 10
        while True:  # those who left make room
            try:
                Client(port=server.port).close()
                break
            except VipOfflineError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_the_key() -> None:
    with serving(api_key=KEY) as server:
        for wrong in ("", "another-key-of-that-length", KEY[:-1], f"{KEY}x", "schlüssel"):
            headers = {"Authorization": f"Api-Key {wrong}"} if wrong else None
            with pytest.raises(InvalidStatus) as refusal:
                raw(server.port, additional_headers=headers)
            assert refusal.value.response.status_code == 401
        with Client(port=server.port, api_key=KEY) as client:
            assert client.infer(observation())["guard"]["held"] is False
        talk = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        talk.request("GET", "/healthz")
        assert talk.getresponse().status == 200
        talk.close()
        output = server.end(signal.SIGTERM)
    assert KEY not in output
    assert "5 messages refused" in output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_is_under_way_and_says_goodbye(how: signal.Signals) -> None:
    with serving() as server, raw(server.port) as busy, raw(server.port) as idle:
        busy.recv(10), idle.recv(10)
        busy.send(encode(observation(0.5, seconds=0.7)))
        time.sleep(0.2)
        output = server.end(how)
        assert server.process.returncode == 0
        reply = decode(busy.recv(10), Limits(1 << 20))  # type: ignore[arg-type]
        assert reply["actions"].tolist() == [[0.5, 0]]
        for talk in (busy, idle):
            with pytest.raises(ConnectionClosed) as closed:
                talk.recv(10)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
    assert output.splitlines()[-1] == (
        "served 1 actions on 2 connections: 0 limited in range, 0 in step, 0 held; "
        "0 messages refused"
    )
    assert "Traceback" not in output


def test_a_client_that_never_reads_does_not_keep_it_from_stopping() -> None:
    with serving(drain=0.5) as server, raw(server.port) as deaf:
        deaf.recv(10)
        deaf.send(encode(observation(seconds=1)))
        time.sleep(0.2)
        server.end(signal.SIGTERM)
        assert server.process.returncode == 0


def test_an_output_that_nobody_reads_stops_neither_the_robot_nor_the_end() -> None:
    with serving(drain=1) as server, Client(port=server.port) as robot:
        assert server.process.stdout
        fcntl.fcntl(server.process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        for index in range(30):
            with raw(server.port) as talk:
                refused(talk, encode({"a" * 400: index}))
            assert not robot.infer(observation())["guard"]["held"]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.mark.slow
def test_a_connection_whose_buffers_are_full_is_closed_in_the_end() -> None:
    """A peer that reads nothing: websockets' own close would wait for it without end."""

    async def fill(connection: ServerConnection) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await connection.send(bytes(1_000_000))
        await hang_up(connection, 1011)
        await connection.wait_closed()
        closed.append(connection.state)

    async def filled() -> None:
        async with serve(fill, "127.0.0.1", 0, close_timeout=1, ping_interval=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            _, writer = await hostile_clients.raw("127.0.0.1", port)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            async with asyncio.timeout(30):
                while not closed:
                    await asyncio.sleep(0.05)
            writer.transport.abort()

    closed: list[State] = []
    asyncio.run(filled())
    assert closed == [State.CLOSED]


ROBOT = """
import sys
from made_up_serving import observation
from vip_offline.deployment.server.client import Client

with Client(port=int(sys.argv[1])) as client:
    client.infer(observation())
    print("asked", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_client_that_vanished_gives_its_place_back() -> None:
    """Its computer is stopped: the system there still takes what comes, and nobody answers."""
    with serving(max_connections=1, lost=1) as server:
        command = [sys.executable, "-c", ROBOT, str(server.port)]
        paths = os.pathsep.join(sys.path)
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": paths},
        ) as vanished:
            try:
                assert vanished.stdout
                assert vanished.stdout.readline() == "asked\n"
                vanished.send_signal(signal.SIGSTOP)
                deadline = time.monotonic() + 30
                while True:
                    try:
                        with Client(port=server.port) as client:
                            client.infer(observation())
                        break
                    except VipOfflineError:
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
            finally:
                vanished.kill()
        assert "keepalive ping timeout" in server.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def besieged() -> Iterator[Serving]:
    with serving(timeout=5, lost=1) as server:
        yield server


def memory(process: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.parametrize("hostile", hostile_clients.HOSTILE, ids=lambda value: value.__name__)
def test_hostile_clients_cost_the_robot_nothing(
    besieged: Serving, hostile: hostile_clients.Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile_clients, "STAYS", 0.3)
    most = before = memory(besieged.process.pid)

    def attack() -> None:
        asyncio.run(asyncio.wait_for(hostile("127.0.0.1", besieged.port), 20))

    with Client(port=besieged.port) as robot, ThreadPoolExecutor(1) as pool:
        robot.infer(observation())
        attacking = pool.submit(attack)
        while not attacking.done():
            assert not robot.infer(observation(0.1))["guard"]["held"]
            most = max(most, memory(besieged.process.pid))
            time.sleep(0.01)
        attacking.result()
        assert not robot.infer(observation())["guard"]["held"]
    assert most - before < 20_000_000
