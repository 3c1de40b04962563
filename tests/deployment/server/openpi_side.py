"""What a robot's computer runs: openpi's own client, in an environment without this package."""

import json
import sys

import numpy as np
from openpi_client import msgpack_numpy
from openpi_client.action_chunk_broker import ActionChunkBroker
from openpi_client.websocket_client_policy import WebsocketClientPolicy

SHAPES = [(), (0,), (3,), (2, 3), (1, 2, 3, 4)]
KINDS = ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]


def observation(x: float, y: float) -> dict[str, object]:
    frame = np.full((4, 6, 3), (180, 100, 40), np.uint8)
    proprio = np.array([x, y, 0.5, 0], np.float32)
    return {"frame/front": frame, "proprio": proprio, "prompt": "push the block"}


def known() -> dict[str, object]:
    """Arrays and scalars of every kind, counted up; and what else a message may hold."""
    arrays = {
        f"{kind} {shape}": np.arange(int(np.prod(shape))).astype(kind).reshape(shape)
        for kind in KINDS
        for shape in SHAPES
    }
    scalars = {f"{kind} scalar": np.dtype(kind).type(1) for kind in KINDS}
    columns = {"columns": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    return {**arrays, **scalars, **columns, "rest": [None, True, -5, 2.5, "text", b"bytes", {}]}


def plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return {"array": value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape)}
    return value


def drive(port: int, key: str) -> dict[str, object]:
    policy = WebsocketClientPolicy("127.0.0.1", port, api_key=key)
    answers: dict[str, object] = {"metadata": policy.get_server_metadata()}
    replies = [policy.infer(observation(*reply)) for reply in [(0.5, 0.25), (0.9, 0.25)]]
    policy.reset()
    answers["replies"] = [plain(reply) for reply in replies]
    broker = ActionChunkBroker(policy, action_horizon=1)
    answers["chunk"] = [plain(broker.infer(observation(x, 0.25))) for x in (0.75, 0.8)]
    broker.reset()
    try:
        policy.infer({"proprio": np.zeros(4, np.float32)})
    except RuntimeError as error:
        answers["error"] = str(error)
    return answers


def record(port: int) -> dict[str, object]:
    """Stream one episode of four rows, then a row that does not fit."""
    policy = WebsocketClientPolicy("127.0.0.1", port)
    rows: list[dict[str, object]] = [
        {**observation(t / 10, 0.25), "action": np.full(2, t, np.float32)} for t in range(4)
    ]
    rows[-1].update({"episode/end": True, "episode/success": True})
    answers: dict[str, object] = {"metadata": policy.get_server_metadata()}
    answers["replies"] = [plain(policy.infer(row)) for row in rows]
    try:
        policy.infer({**rows[0], "action": np.zeros(3, np.float32)})
    except RuntimeError as error:
        answers["error"] = str(error)
    return answers


if __name__ == "__main__":
    if sys.argv[1] == "record":
        sys.stdout.write(json.dumps(record(int(sys.argv[2]))))
    elif sys.argv[1] == "pack":
        sys.stdout.buffer.write(msgpack_numpy.packb(known()))
    elif sys.argv[1] == "unpack":
        sys.stdout.write(json.dumps(repr(msgpack_numpy.unpackb(sys.stdin.buffer.read()))))
    else:
        sys.stdout.write(json.dumps(drive(int(sys.argv[2]), sys.argv[3])))
