"""A robot that streams: messages, and the recorder as a process."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from conftest import PROGRAM
from made_up_serving import Serving, started

SHAPE = (16, 20, 3)
END, SUCCESS = "episode/end", "episode/success"


def row(index: int, **more: Any) -> dict[str, Any]:
    """An observation and its action, of which every value tells the row."""
    frame = np.full(SHAPE, index, np.uint8)
    frame[0, 0] = (index, 1, 2)
    return {
        "frame/front": frame,
        "proprio": np.array([index, 0.5, -index], np.float32),
        "action": np.array([index / 10, -0.25], np.float32),
        "prompt": "push the block",
        **more,
    }


def episode(length: int, success: bool, first: int = 0) -> list[dict[str, Any]]:
    rows = [row(first + index) for index in range(length)]
    rows[-1] |= {END: True, SUCCESS: success}
    return rows


def recording(store: Path, *options: str) -> contextlib.AbstractContextManager[Serving]:
    """`vip-offline record --from-client` on any free port."""
    said = ["--from-client", "--task", "push", "--control-rate", "10", "--port", "0"]
    return started([*PROGRAM, "record", str(store), *said, *options])
