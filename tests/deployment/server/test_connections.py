"""A real server process, and sockets that nobody speaks on."""

import asyncio
import contextlib
import signal
import socket
import time

import pytest
from made_up_serving import observation, serving
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from vip_offline.deployment.server.client import Client
from vip_offline.deployment.server.connections import HANDSHAKES, PendingConnections
from vip_offline.errors import VipOfflineError

pytestmark = pytest.mark.timeout(60)


def silent(stack: contextlib.ExitStack, port: int, count: int) -> list[socket.socket]:
    return [
        stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(count)
    ]


def test_silent_connections_give_way_to_one_that_speaks() -> None:
    with serving(opening=50) as server, contextlib.ExitStack() as stack:
        waiting = silent(stack, server.port, 5 * HANDSHAKES)
        with Client(port=server.port, timeout=20) as client:
            assert not client.infer(observation())["guard"]["held"]
        waiting[0].settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert waiting[0].recv(1) == b""
        output = server.end(signal.SIGTERM)
    assert (
        output.count(f"more than {HANDSHAKES} connections at once") == 2
    )  # and a count at the end


@pytest.mark.slow
def test_without_descriptors_it_says_so_once_and_goes_on_later() -> None:
    with serving(files=24, opening=50) as server, Client(port=server.port, timeout=20) as robot:
        robot.infer(observation())
        with contextlib.ExitStack() as stack:
            silent(stack, server.port, 60)
            until = time.monotonic() + 2.5
            while time.monotonic() < until:
                assert not robot.infer(observation())["guard"]["held"]
        with Client(port=server.port, timeout=20) as other:  # once asyncio has tried again
            other.infer(observation())
        robot.infer(observation())
        output = server.end(signal.SIGTERM)
        assert server.process.returncode == 0
    # and perhaps a count at the end
    assert 1 <= output.count("is accepted: Too many open files (ulimit -n: 24)") <= 2
    assert output.count("connections are accepted again") == 1
    assert "Traceback" not in output and output.count("\n") < 20


def test_who_is_connected_and_never_spoke_gives_way_where_all_are_in_use() -> None:
    with (
        serving(max_connections=1, opening=0.5) as server,
        Client(port=server.port),
    ):
        deadline = time.monotonic() + 20
        while True:
            try:
                with Client(port=server.port, timeout=20) as client:
                    client.infer(observation())
                break
            except VipOfflineError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        output = server.end(signal.SIGTERM)
    assert "all connections are in use; another was refused." in output
    assert "all connections are in use; one that sent nothing for 0.5 s was closed." in output


def test_the_system_looks_after_each_connection() -> None:
    async def nothing(connection: ServerConnection) -> None:
        kept.append(connection.transport.get_extra_info("socket"))
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"):
            value = kept[-1].getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            options[name] = value
        options["on"] = kept[-1].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    async def connected() -> None:
        accepting = PendingConnections(20.0, print)
        kind = accepting.connections()
        async with serve(nothing, "127.0.0.1", 0, create_connection=kind) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", proxy=None) as talk:
                await talk.wait_closed()

    kept: list[socket.socket] = []
    options: dict[str, int] = {}
    asyncio.run(connected())
    assert options == {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 2,
        "TCP_USER_TIMEOUT": 20_000,
        "on": 1,
    }
