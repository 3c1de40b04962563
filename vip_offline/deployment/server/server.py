"""A policy behind a WebSocket, as openpi's clients expect it.

    server -> client   binary: metadata, once
    client -> server   binary: an observation
    server -> client   binary: a reply; or text: what is wrong, then the connection closes (1011)

The event loop only moves bytes. All else happens in one thread, message by message in the order
in which they arrived: a connection has at most one message there, so none can crowd out another.
"""

import asyncio
import errno
import hmac
import http
import logging
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from vip_offline.deployment.server.codec import Limits, encode
from vip_offline.deployment.server.connections import LogLines, PendingConnections
from vip_offline.deployment.server.log_lines import Tally
from vip_offline.deployment.server.session import Service
from vip_offline.deployment.serving_options import check_serve_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions

HEALTH = "/healthz"
ERROR_LENGTH = 500  # characters of an error
FAILED, LEAVING, BUSY = 1011, 1001, 1013  # close codes of RFC 6455
CLOSING = 2.0  # s for a peer to close, too


class Conversation(Protocol):
    """One connection; used by one thread at a time."""

    def answer(self, message: bytes, arrived: float, previous_s: float | None) -> bytes:
        """Reply to a message, or raise what is wrong with it."""

    def close(self) -> None:
        """Called once, when the connection is gone, however it went."""


class Served(Protocol):
    """What the server serves: a policy (`session.Service`) or a recorder."""

    options: ServeOptions
    limits: Limits  # of a message
    totals: Counter[str]  # where connections and refusals are counted

    @property
    def say(self) -> Callable[[str], None]:
        """Takes a line for the person at the terminal."""

    @property
    def clock(self) -> Callable[[], float]:
        """In seconds."""

    def title(self) -> str:
        """What is served, for the line that says it is ready."""

    def metadata(self) -> dict[str, Any]:
        """What a connection is told first."""

    def converse(self, name: str) -> Conversation:
        """Begin a connection, or raise why not."""


def run_server(service: Served) -> None:
    """Serve until SIGINT or SIGTERM; then finish running requests, say goodbye and return.

    Raises:
        VipOfflineError: if the address cannot be had.
    """
    check_serve_options(service.options)
    asyncio.run(_Serving(service).until_signal())


def closing_line(service: Service) -> str:
    """What was served, in one line."""
    totals = service.totals
    others = ("connections", "refused", "actions", "held", "range", "step")
    reasons = [f"{key} {count}" for key, count in sorted(totals.items()) if key not in others]
    why = f" ({', '.join(reasons)})" if reasons else ""
    return (
        f"served {totals['actions']} actions on {totals['connections']} connections: "
        f"{totals['range']} limited in range, {totals['step']} in step, {totals['held']} held"
        f"{why}; {totals['refused']} messages refused"
    )


@dataclass
class _Open:
    """A connection's state."""

    since: float
    spoke: bool = False  # whether it ever sent a message
    busy: bool = False  # whether a message is under way


class _Serving:
    """One server while it runs."""

    def __init__(self, service: Served) -> None:
        self._service = service
        self._open: dict[ServerConnection, _Open] = {}  # the oldest first
        self._accepting = PendingConnections(service.options.lost, service.say)
        self._crowded = Tally(service.say)
        self._stopping = asyncio.Event()
        self._all_gone = asyncio.Event()
        # not re-entrant, and few cores: one thread, whose queue is first come, first served
        self._worker = ThreadPoolExecutor(1, "infer")

    async def until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        # it prints whole tracebacks for every port scan
        quiet = logging.getLogger("vip_offline.deployment.server")
        quiet.addHandler(logging.NullHandler())
        loop.set_exception_handler(self._accepting.failed)
        lines, asyncio_log = LogLines(self._service.say), logging.getLogger("asyncio")
        asyncio_log.addHandler(lines)
        try:
            await self._serve(quiet)
        finally:
            asyncio_log.removeHandler(lines)

    async def _serve(self, quiet: logging.Logger) -> None:
        loop, options = asyncio.get_running_loop(), self._service.options
        try:
            server = await serve(
                self._connection,
                options.host,
                options.port,
                process_request=self._knock,
                # browsers say where a page is from: no page may command a robot on this computer
                origins=[None],
                compression=None,  # small messages could unfold to large ones
                max_size=self._service.limits.size,
                max_queue=1,
                open_timeout=options.opening,
                close_timeout=CLOSING,
                ping_interval=options.lost / 2,
                ping_timeout=options.lost,
                logger=quiet,
                create_connection=self._accepting.connections(),
            )
        except OSError as error:
            raise _no_address(error, options.host, options.port) from None
        try:
            host, port = next(iter(server.sockets)).getsockname()[:2]
            where = f"[{host}]" if ":" in host else host
            self._service.say(f"serving ws://{where}:{port} {self._service.title()}")
            await self._stopping.wait()
        finally:
            # the default handlers again: a second ctrl-C ends it at once
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            await self._goodbye(server)
            self._worker.shutdown(wait=True, cancel_futures=True)

    async def _goodbye(self, server: Server) -> None:
        server.close(close_connections=False)
        await asyncio.gather(
            *(
                hang_up(connection, LEAVING)
                for connection, state in self._open.items()
                if not state.busy
            )
        )
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._service.options.drain):
                    await self._all_gone.wait()
        self._accepting.flush()
        self._crowded.flush()

    async def _knock(self, connection: ServerConnection, request: Request) -> Response | None:
        self._accepting.knocked(connection)
        if request.path == HEALTH:
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        key = self._service.options.api_key
        if key:
            headers = request.headers.get_all("Authorization")
            # bytes: compare_digest takes no text beyond ASCII
            expected = f"Api-Key {key}".encode()
            actual = headers[0].encode("utf-8", "surrogateescape") if len(headers) == 1 else b""
            if not hmac.compare_digest(actual, expected):
                self._service.totals["refused"] += 1
                return connection.respond(
                    http.HTTPStatus.UNAUTHORIZED,
                    "Wrong or missing API key; send Authorization: Api-Key <key>.\n",
                )
        if self._full():
            return connection.respond(
                http.HTTPStatus.SERVICE_UNAVAILABLE, "All connections are in use.\n"
            )
        return None

    def _full(self) -> bool:
        if len(self._open) < self._service.options.max_connections:
            return False
        # who only sits there gives way to who may have something to say
        opening = self._service.options.opening
        long_ago = self._service.clock() - opening
        silent = (
            connection
            for connection, state in self._open.items()
            if not state.spoke and state.since < long_ago
        )
        if (oldest := next(silent, None)) is not None:
            oldest.transport.abort()
            self._crowded(
                f"all connections are in use; one that sent nothing for {opening:g} s was closed."
            )
        else:
            self._crowded("all connections are in use; another was refused.")
        return True

    async def _connection(self, connection: ServerConnection) -> None:
        if self._full() or self._stopping.is_set():
            await hang_up(connection, LEAVING if self._stopping.is_set() else BUSY)
            return
        self._open[connection] = _Open(self._service.clock())
        self._all_gone.clear()
        self._service.totals["connections"] += 1
        host, port = (connection.remote_address or ("nowhere", 0))[:2]  # gone already
        name = f"connection {self._service.totals['connections']} from {host}:{port}"
        try:
            await self._converse(connection, name)
        except ConnectionClosed as closed:
            if closed.sent and closed.sent.code not in (1000, LEAVING):  # such as 1009, too big
                self._service.totals["refused"] += 1
                self._service.say(f"{name}: closed. {closed.sent}.")
        except VipOfflineError as error:
            await self._refuse(connection, name, str(error))
        except TimeoutError:
            idle = self._service.options.idle
            await self._refuse(connection, name, f"No whole message for {idle:g} s.")
        except Exception as error:
            # whatever it was, it costs one connection, and its details stay on this side
            self._service.say(_shown(f"{name}: {type(error).__name__}: {error}"))
            kind = type(error).__name__
            await self._refuse(connection, name, f"The server failed ({kind}); see its terminal.")
        finally:
            del self._open[connection]
            if not self._open:
                self._all_gone.set()

    async def _converse(self, connection: ServerConnection, name: str) -> None:
        service, loop = self._service, asyncio.get_running_loop()
        session = await loop.run_in_executor(self._worker, service.converse, name)
        try:
            await self._answer(connection, session)
        finally:
            # in line behind what this connection still has under way
            await loop.run_in_executor(self._worker, session.close)
        await hang_up(connection, LEAVING)

    async def _answer(self, connection: ServerConnection, session: Conversation) -> None:
        service, loop = self._service, asyncio.get_running_loop()
        state = self._open[connection]
        await self._send(connection, encode(service.metadata()))
        previous_s = None
        while not self._stopping.is_set():
            async with asyncio.timeout(service.options.idle):
                message = await connection.recv()
            arrived = service.clock()
            if isinstance(message, str):
                raise VipOfflineError("message: is text; expected msgpack in a binary frame.")
            state.busy = state.spoke = True
            reply = await loop.run_in_executor(
                self._worker, session.answer, message, arrived, previous_s
            )
            await self._send(connection, reply)
            state.busy = False
            previous_s = service.clock() - arrived

    async def _send(self, connection: ServerConnection, message: bytes) -> None:
        lost = self._service.options.lost
        try:
            async with asyncio.timeout(lost):
                await connection.send(message)
        except TimeoutError:
            # to close it politely would wait for the same reader
            connection.transport.abort()
            raise VipOfflineError(f"It read no reply for {lost:g} s.") from None

    async def _refuse(self, connection: ServerConnection, name: str, why: str) -> None:
        self._service.totals["refused"] += 1
        why = _shown(why)
        self._service.say(f"{name}: closed. {why}")
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(self._service.options.opening):
                await connection.send(why)
        await hang_up(connection, FAILED)


async def hang_up(connection: ServerConnection, code: int) -> None:
    """Close; websockets alone would wait without end for one that reads nothing."""
    try:
        async with asyncio.timeout(2 * CLOSING):
            await connection.close(code)
    except TimeoutError:
        connection.transport.abort()


def _shown(text: str) -> str:
    """What may quote a message goes to a terminal: no escape sequences, and not much of it."""
    short = text if len(text) <= ERROR_LENGTH else f"{text[:ERROR_LENGTH]}..."
    return "".join(character if character.isprintable() else "?" for character in short)


def _no_address(error: OSError, host: str, port: int) -> VipOfflineError:
    # asyncio wraps what the system said, and several addresses of one name, into one sentence
    if error.errno == errno.EADDRINUSE:
        return VipOfflineError(
            f"--port {port}: is in use on {host}. Stop what uses it, choose another, or "
            "--port 0 for any free one."
        )
    return VipOfflineError(f"--host {host}, --port {port}: {error.strerror or error}.")
