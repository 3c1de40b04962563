"""Clients that mean harm, or are broken: each does its worst once, and returns.

``async def`` functions of a host and a port of `serve` or `record --from-client`. `again` repeats
one until it is cancelled. None of them minds being refused.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.errors import VipOfflineError

CROWD = 1000  # connections at once
STAYS = 1.0  # s that one stays who only takes up room
# a recorder that is busy says so where its metadata are expected: a VipOfflineError; websockets'
# client may find its transport half gone: an AttributeError
GONE = (OSError, WebSocketException, TimeoutError, EOFError, AttributeError, VipOfflineError)
Hostile = Callable[[str, int], Awaitable[None]]


def talking(host: str, port: int) -> connect:
    """A connection, as a context."""
    return connect(
        f"ws://{host}:{port}", compression=None, max_size=None, proxy=None, close_timeout=1
    )


async def right_observation(talk: ClientConnection) -> dict[str, Any]:
    """What the policy takes, by what the server says first."""
    told: Any = decode(await talk.recv(decode=False), Limits(1 << 24))
    interface = told.get("interface", {"frames": {}, "proprio": []})
    frames = {key: np.zeros(each["shape"], np.uint8) for key, each in interface["frames"].items()}
    return {**frames, "proprio": np.zeros(len(interface["proprio"]), np.float32)}


async def send_each(host: str, port: int, *messages: bytes | str) -> None:
    """Each on a connection of its own, until it is closed."""
    for message in messages:
        with contextlib.suppress(*GONE):
            async with talking(host, port) as talk:
                await talk.recv()
                await talk.send(message)
                async with asyncio.timeout(5):
                    while True:
                        await talk.recv()


async def truncated(host: str, port: int) -> None:
    """Messages that end too early."""
    whole = encode({"proprio": np.zeros(64, np.float32), "text": "a" * 100})
    await send_each(host, port, b"", *(whole[:at] for at in range(1, len(whole), 97)))


async def nested(host: str, port: int) -> None:
    """Lists and maps, thousands inside one another."""
    await send_each(host, port, b"\x91" * 20_000, b"\x81\xa1a" * 5_000 + b"\xc0")


async def claiming(host: str, port: int) -> None:
    """Gigabytes are announced, in the forms that msgpack has for it."""
    shape = {b"__ndarray__": True, b"data": b"", b"dtype": "|u1", b"shape": [1 << 31, 1 << 31]}
    headers = [b"\xdd", b"\xdf", b"\xc6", b"\xdb"]  # list, map, bytes, text
    claims = [header + b"\xff\xff\xff\xff" for header in headers]
    await send_each(host, port, msgpack.packb({"proprio": shape}), *claims)


async def mistyped(host: str, port: int) -> None:
    """Wrong dtypes and shapes, and texts."""
    wrong = (
        np.zeros((3, 3), np.int64),
        np.zeros(0, np.float32),
        np.full(7, np.nan),
        np.zeros((1,) * 8, np.uint8),
    )
    messages = [encode({"proprio": each, "frame/front": each}) for each in wrong]
    await send_each(host, port, *messages, "hello", "\0" * 1000)


async def oversized(host: str, port: int) -> None:
    """Far more bytes than any observation has."""
    await send_each(host, port, bytes(100_000_000))


async def crowding(host: str, port: int) -> None:
    """A thousand connections at once; half of them say nothing at all."""

    async def one(index: int) -> None:
        with contextlib.suppress(*GONE):
            reader, writer = await asyncio.open_connection(host, port)
            if index % 2:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                async with asyncio.timeout(STAYS):
                    await reader.read(1000)
            finally:
                writer.transport.abort()

    await asyncio.gather(*(one(index) for index in range(CROWD)))


async def seated(host: str, port: int) -> None:
    """Takes every seat and says nothing."""

    async def one() -> None:
        with contextlib.suppress(*GONE):
            async with talking(host, port):
                await asyncio.sleep(STAYS)

    await asyncio.gather(*(one() for _ in range(32)))


async def raw(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that answers no ping, as far as the end of its handshake."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # soon full, where nobody reads
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, (host, port))
    reader, writer = await asyncio.open_connection(sock=small)
    writer.write(
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def framed(message: bytes) -> bytes:
    """A whole binary frame of a client, with a mask of zeros."""
    return b"\x82\xff" + struct.pack("!Q", len(message)) + bytes(4) + message


async def deaf(host: str, port: int) -> None:
    """Asks as fast as it can, reads nothing and answers no ping, until it is closed."""
    with contextlib.suppress(*GONE):
        async with talking(host, port) as talk:
            question = framed(encode(await right_observation(talk)))
        _, writer = await raw(host, port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            async with asyncio.timeout(60):
                while True:
                    writer.write(question)
                    await writer.drain()
        finally:
            writer.transport.abort()


async def greedy(host: str, port: int) -> None:
    """Asks a thousand times before it reads an answer."""
    with contextlib.suppress(*GONE):
        async with talking(host, port) as talk, asyncio.timeout(60):
            question = encode(await right_observation(talk))

            async def ask() -> None:
                for _ in range(1000):
                    await talk.send(question)

            async def read() -> None:
                for _ in range(1000):
                    await talk.recv()

            await asyncio.gather(ask(), read())


async def trickling(host: str, port: int) -> None:
    """A message that comes byte by byte, and never whole."""
    with contextlib.suppress(*GONE):
        _, writer = await raw(host, port)
        for byte in framed(bytes(1000))[: int(20 * STAYS)]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        writer.transport.abort()


async def leaving(host: str, port: int) -> None:
    """Gone in the middle of a handshake, of a message and of an answer."""
    with contextlib.suppress(*GONE):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HT")
        writer.transport.abort()
        _, writer = await raw(host, port)
        writer.write(framed(bytes(1000))[:500])
        await writer.drain()
        writer.transport.abort()
        async with talking(host, port) as talk:
            question = framed(encode(await right_observation(talk)))
        _, writer = await raw(host, port)
        writer.write(question)
        await writer.drain()
        writer.transport.abort()


async def noisy(host: str, port: int) -> None:
    """What is no HTTP."""
    for noise in (b"\x16\x03\x01" * 100, b"GET " + b"a" * 100_000, b"\r\n" * 100, os.urandom(4096)):
        with contextlib.suppress(*GONE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(noise)
                async with asyncio.timeout(STAYS):
                    await reader.read()
            finally:
                writer.transport.abort()


HOSTILE: tuple[Hostile, ...] = (
    truncated,
    nested,
    claiming,
    mistyped,
    oversized,
    crowding,
    seated,
    deaf,
    greedy,
    trickling,
    leaving,
    noisy,
)


async def again(client: Hostile, host: str, port: int) -> None:
    """One of them, again and again."""
    task = asyncio.current_task()
    # who closes a connection while it is cancelled may raise something else, which none minds
    while task is not None and not task.cancelling():
        await client(host, port)
        await asyncio.sleep(0.01)
