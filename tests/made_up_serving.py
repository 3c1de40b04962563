"""A policy that does as its proprioception says, and a real server process around it."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.deployment.server.session import Service, prepare
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.policies.interface import Interface

INTERFACE = Interface(
    frames={"frame/front": (4, 6, 3)},
    proprio=("x [m/s]", "y [m/s]", "novelty", "seconds"),
    action=("x [m/s]", "y [m/s]"),
    low=(-1.0, 0.0),
    high=(1.0, 0.5),
    largest_step=(0.25, 0.1),
    control_rate=10.0,
    action_kind="velocity",
)
# upper half darker than the lower, as no frame below is: a flat one says nothing
COLOUR = {
    "front": {
        "mean": [180.0, 100.0, 40.0],
        "std": [4.0, 4.0, 4.0],
        "grid_mean": [[50.0] * 6] * 3 + [[160.0] * 6] * 3,
        "grid_std": [[4.0] * 6] * 6,
    }
}


@dataclass(frozen=True)
class Said:
    action: NDArray[np.float32]
    novelty: NDArray[np.float64] | None


class Obedient:
    """The action is the first two numbers; the third is the novelty, the fourth the duration.

    A negative duration crashes; -2 is the error of a policy whose weights are damaged.
    """

    def __init__(self, interface: Interface = INTERFACE, *, knows: bool = True) -> None:
        self.interface = interface
        self.manifest: dict[str, Any] = {"task": "push", "colour": COLOUR}
        self.folder = Path("/somewhere/secret/obedient")
        self.backend = "numpy"
        self.resets = 0
        self._knows = knows

    def reset(self) -> None:
        self.resets += 1

    def infer(self, observation: Mapping[str, Any]) -> Said:
        (row,) = self.interface.check(observation).proprio
        if row[3] == -2:
            raise VipOfflineError("the action is not finite.")
        if row[3] < 0:
            raise RuntimeError("out of luck")
        time.sleep(float(row[3]))
        return Said(row[None, :2], row[None, 2].astype(np.float64) if self._knows else None)


def observation(
    x: float = 0, y: float = 0, novelty: float = 0, seconds: float = 0, **more: Any
) -> dict[str, Any]:
    frame = np.zeros((4, 6, 3), np.uint8)
    frame[:] = (180, 100, 40)
    proprio = np.array([x, y, novelty, seconds], np.float32)
    return {"frame/front": frame, "proprio": proprio, **more}


def service(said: list[str] | None = None, knows: bool = True, **options: Any) -> Service:
    policy = Obedient(knows=knows)
    say = (said if said is not None else []).append
    return prepare(policy, {}, ServeOptions(**options), say)


@dataclass
class Serving:
    """A server process."""

    process: subprocess.Popen[str]
    port: int
    ready: str

    def end(self, signal: int) -> str:
        """Send a signal, and wait; what it printed."""
        self.process.send_signal(signal)
        output, _ = self.process.communicate(timeout=20)
        return output


@contextlib.contextmanager
def started(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Run a server until the block ends; whatever it says goes to one stream."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if port := re.search(r"serving ws://.*:(\d+)", line):
                yield Serving(process, int(port[1]), "".join(lines))
                return
        raise AssertionError("".join(lines))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def serving(files: int = 0, **options: Any) -> contextlib.AbstractContextManager[Serving]:
    """Serve the obedient policy in a process of its own, on any free port.

    Its camera's ``size`` may be given, too, and how many ``files`` it may open.
    """
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, __file__, json.dumps(options)]
    if files:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    return started(command, {"PYTHONPATH": paths})


def main() -> None:
    from vip_offline.deployment.server.log_lines import LineWriter
    from vip_offline.deployment.server.server import closing_line, run_server

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    options = json.loads(sys.argv[1])
    size = tuple(options.pop("size", INTERFACE.frames["frame/front"]))
    policy = Obedient(replace(INTERFACE, frames={"frame/front": size}))
    with LineWriter(write) as say:
        ready = prepare(policy, {}, ServeOptions(**{"port": 0, **options}), say)
        run_server(ready)
        say.last(closing_line(ready))


if __name__ == "__main__":
    main()
