"""Drivers that the tests give to the loop: they write down what is asked of them."""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Noted:
    """An arm of four joints that does nothing but take notes.

    ``--set notes=FILE``; ``fail=3``: the camera fails at the third observation; ``kill=ID``: at
    its fifth action it ends that process; ``stop=fails``; ``done=4``: solved then; ``frame=NAME``,
    ``size=HxW`` of its camera; ``action=A,B`` names; ``rate=HZ``.
    """

    def __init__(self, options: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        self._file = Path(options["notes"]).open("a", encoding="utf-8")  # noqa: SIM115
        self._options = options
        self.proprio = tuple(metadata["interface"]["proprio"])
        self.action = tuple(metadata["interface"]["action"])
        if "action" in options:
            self.action = tuple(options["action"].split(","))
        self.rate = float(options["rate"]) if "rate" in options else None
        self._seen = self._acted = 0

    def _note(self, **what: Any) -> None:
        self._file.write(json.dumps({**what, "at": time.monotonic()}) + "\n")
        self._file.flush()

    def observe(self) -> dict[str, Any]:
        self._seen += 1
        self._note(observe=self._seen)
        if self._options.get("fail") == str(self._seen):
            raise RuntimeError("the camera is gone")
        height, width = self._options.get("size", "64x64").split("x")
        frame = np.full((int(height), int(width), 3), self._seen % 256, np.uint8)
        camera = self._options.get("frame", "corner")
        return {f"frame/{camera}": frame, "proprio": np.full(4, 0.1, np.float32)}

    def act(self, action: NDArray[np.float32]) -> None:
        self._acted += 1
        self._note(act=action.tolist())
        if self._acted == 5 and "kill" in self._options:
            os.kill(int(self._options["kill"]), int(self._options.get("by", signal.SIGKILL)))

    def stop(self) -> None:
        self._note(stop=True)
        if self._options.get("stop") == "fails":
            raise RuntimeError("no answer from the arm")

    def done(self) -> bool | None:
        if "done" in self._options:
            return self._acted >= int(self._options["done"])
        return None
