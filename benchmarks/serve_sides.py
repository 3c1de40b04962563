"""The other processes of ``benchmarks.serve``, quick to begin: robots, and openpi's way to serve.

``python -m benchmarks.serve_sides robot PORT SIDE SECONDS INDEX`` asks at `RATE` and prints JSON;
``python -m benchmarks.serve_sides openpi POLICY`` serves, and prints its address.
"""

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.deployment.server.client import Client
from vip_offline.deployment.server.codec import Limits, decode, encode

RATE = 25.0  # Hz, the paper's control rate
CLIENTS = 4
PROPRIO = 8
WARM = 5  # questions before the clock starts


def observation(side: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """As a robot sends it."""
    generator = np.random.default_rng(seed)
    return {
        "frame/front": generator.integers(0, 256, (side, side, 3), np.uint8),
        "proprio": generator.normal(size=PROPRIO).astype(np.float32),
    }


def held(port: int, side: int, seconds: float, index: int) -> tuple[int, int, int, list[float]]:
    """Ask at `RATE` for a while: ticks, answers before the next tick, questions without an answer.

    The clock is the robot's: a tick that was missed is gone. And milliseconds of each round trip.
    """
    given = observation(side, index)
    in_time = missed = 0
    spent: list[float] = []
    with Client(port=port) as client:
        for _ in range(WARM):
            client.infer(given)
        began = time.perf_counter() + index / RATE / CLIENTS  # not all at the same instant
        ticks = int(seconds * RATE)
        for tick in range(ticks):
            due = began + tick / RATE
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            elif -wait > 1 / RATE:
                continue
            started = time.perf_counter()
            try:
                client.infer(given)
            except Exception:  # of whatever kind: it is counted
                missed += 1
                continue
            ended = time.perf_counter()
            spent.append((ended - started) * 1000)
            in_time += ended <= due + 1 / RATE
    return ticks, in_time, missed, spent


def serve_as_openpi(folder: str) -> None:
    """Serve as openpi's ``WebsocketPolicyServer`` does: infer in the event loop, torch in eager."""
    import websockets.asyncio.server
    from websockets.exceptions import ConnectionClosed

    infer = eager(folder)

    async def handle(socket: Any) -> None:
        await socket.send(encode({"server": "as openpi"}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                started = time.monotonic()
                given: Any = decode(await socket.recv(), Limits(1 << 24))
                action = infer(given)
                spent = (time.monotonic() - started) * 1000
                await socket.send(encode({"actions": action, "server_timing": {"infer_ms": spent}}))

    async def run() -> None:
        async with websockets.asyncio.server.serve(
            handle, "127.0.0.1", 0, compression=None, max_size=None
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            sys.stdout.write(f"ws://127.0.0.1:{port}\n")
            sys.stdout.flush()
            await server.serve_forever()

    asyncio.run(run())


def eager(folder: str) -> Any:
    """(observation) -> action: contiguous, one picture at a time, as the VIP examples do."""
    import torch

    from vip_offline.encoders.backends import Torch
    from vip_offline.policies.runtime import load_policy

    policy = load_policy(folder, backend="torch")
    assert policy.encoder is not None
    assert isinstance(policy.encoder.backend, Torch)
    preprocessing = policy.encoder.preprocessing
    network = policy.encoder.backend.network.to(memory_format=torch.contiguous_format)

    def infer(given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        with torch.inference_mode():
            embedding = network(preprocessing(np.array(given["frame/front"])[None])).numpy()
        return policy.decide(embedding, given["proprio"][None])

    return infer


def main() -> None:
    """Be one of them."""
    role, *arguments = sys.argv[1:]
    if role == "openpi":
        serve_as_openpi(arguments[0])
        return
    port, side, seconds, index = arguments
    sys.stdout.write(json.dumps(held(int(port), int(side), float(seconds), int(index))))


if __name__ == "__main__":
    main()
