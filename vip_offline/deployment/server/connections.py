"""Who gets as far as a connection: handshakes, peers that vanished, and descriptors that ran out.

websockets bounds how long a handshake takes, but not how many there are, and asyncio writes a
traceback for each connection that it has no descriptor for.
"""

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection

from vip_offline.deployment.server.log_lines import Tally

HANDSHAKES = 32  # at once
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class PendingConnections:
    """Connections of one server that have not finished their handshake."""

    def __init__(self, lost: float, say: Callable[[str], None]) -> None:
        """Begin with none.

        Args:
            lost: s after which a peer that answers nothing is gone.
            say: takes a line for the person at the terminal.
        """
        self._lost = lost
        self._knocking: dict[ServerConnection, None] = {}  # the oldest first
        self._crowded, self._failed, self._out = Tally(say), Tally(say), Tally(say)
        self._again = Tally(say)
        self._short = False

    def connections(self) -> type[ServerConnection]:
        """For websockets' ``create_connection``."""
        accepting = self

        class Connection(ServerConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                accepting.begun(self)

            def connection_lost(self, exc: Exception | None) -> None:
                accepting.knocked(self)
                super().connection_lost(exc)

        return Connection

    def begun(self, connection: ServerConnection) -> None:
        """A peer is there that has not said what it wants."""
        if self._short:
            self._short = False
            self._again("connections are accepted again.")
        _keep_alive(connection.transport.get_extra_info("socket"), self._lost)
        self._knocking[connection] = None
        if len(self._knocking) > HANDSHAKES:
            # the oldest: an honest one takes milliseconds, and comes in whatever others hold
            oldest = next(iter(self._knocking))
            del self._knocking[oldest]
            oldest.transport.abort()
            self._crowded(
                f"more than {HANDSHAKES} connections at once that say nothing; the oldest of them "
                "was closed."
            )

    def knocked(self, connection: ServerConnection) -> None:
        """It said what it wants, or is gone."""
        self._knocking.pop(connection, None)

    def failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """For the loop's ``set_exception_handler``: a line, where asyncio writes a traceback."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in OUT_OF_FILES:
            self._failed(f"asyncio: {context.get('message')} {error!r:.200}")
        elif not self._short:
            self._short = True  # asyncio tries again once a second
            self._out(
                f"no connection is accepted: {error.strerror} (ulimit -n: "
                f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]}). Those that are open go on, and "
                "new ones are accepted as soon as some are closed."
            )

    def flush(self) -> None:
        """Say what was only counted."""
        for stream in (self._crowded, self._failed, self._out):
            stream.flush()


class LogLines(logging.Handler):
    """A library's log as lines of ours: without tracebacks, and without waiting for a reader."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tally = Tally(say)

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        self._tally(f"{record.name}: {record.getMessage():.200}")


def _keep_alive(connection: socket.socket, lost: float) -> None:
    """Have the system find out that a peer's computer is gone, also while data are under way."""
    seconds = max(1, round(lost / 4))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {
        "TCP_KEEPIDLE": 2 * seconds,
        "TCP_KEEPINTVL": seconds,
        "TCP_KEEPCNT": 2,
        "TCP_USER_TIMEOUT": round(lost * 1000),
    }.items():
        if hasattr(socket, name):  # Linux has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
