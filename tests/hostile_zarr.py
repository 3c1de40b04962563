"""Replay buffers that run code where their codecs are trusted."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

from origins import replay

PICKLE: dict[str, Any] = {"id": "pickle", "protocol": 4}
NAMED: dict[str, Any] = {"name": "numcodecs.pickle", "configuration": {"protocol": 4}}


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._mark),)


def poisoned(path: Path, mark: Path, array: str = "state") -> None:
    """A replay buffer of which an array is unpickled when it is read."""
    replay(path)
    about = json.loads((path / f"data/{array}/.zarray").read_text())
    about |= {"dtype": "|O", "fill_value": "", "compressor": None}
    about["filters"] = [{"id": "vlen-utf8"}, PICKLE]
    (path / f"data/{array}/.zarray").write_text(json.dumps(about))
    for chunk in (path / f"data/{array}").glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps(Bomb(mark)))
