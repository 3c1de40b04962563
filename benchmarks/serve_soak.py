"""A robot at 50 Hz beside hostile clients: ``python -m benchmarks.serve_soak [--minutes 10]``.

A server process (the made-up policy of the tests) is asked by an honest robot whose clock drifts by
100 ppm and is set by 2 s once a minute, and meanwhile by one hostile client after the other
(tests/hostile_clients.py). Once a second its memory and open descriptors are written down. Last
line: one JSON object.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hostile_clients import HOSTILE, again
from made_up_serving import observation, serving

from vip_offline.deployment.server.client import Client

RATE, DRIFT, STEP = 50.0, 1e-4, 2.0


def attack(port: int, seconds: float) -> None:
    """One hostile client after the other, in a process of its own."""

    async def all_of_them() -> None:
        for client in HOSTILE:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds / len(HOSTILE)):
                    await again(client, "127.0.0.1", port)

    asyncio.run(all_of_them())


def state(process: int) -> tuple[float, int]:
    """Memory, MiB, and descriptors."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) / 1024, len([*Path(f"/proc/{process}/fd").iterdir()])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    seconds = 60 * parser.parse_args().minutes
    states: list[tuple[float, int]] = []
    spent, held, longest, run = [], dict[str, int](), 0, 0
    with serving(timeout=0.5, lost=5) as one, Client(port=one.port) as robot:
        attacking = multiprocessing.get_context("spawn").Process(
            target=attack, args=(one.port, seconds)
        )
        attacking.start()
        began, tick, written = time.monotonic(), 0, 0.0
        while (now := time.monotonic() - began) < seconds:
            due = tick / RATE
            if now < due:
                time.sleep(due - now)
            else:
                tick = int(now * RATE)
            tick += 1
            now = time.monotonic() - began
            steps = STEP * (int(now / 60 + 0.5) % 2)
            stamp = {"observation/time": 1.7e9 + now * (1 + DRIFT) + steps}
            started = time.perf_counter()
            guard = robot.infer(observation(0.1, **stamp))["guard"]
            spent.append((time.perf_counter() - started) * 1000)
            run = run + 1 if guard["held"] else 0
            longest = max(longest, run)
            if guard["held"]:
                held[guard["reason"]] = held.get(guard["reason"], 0) + 1
            if now - written >= 1:
                states.append(state(one.process.pid))
                written = now
        attacking.join(60)
        assert attacking.exitcode == 0, "the hostile clients ended early"
        output = one.end(signal.SIGTERM)
    memory, descriptors = (np.array(each) for each in zip(*states, strict=True))
    quarter = len(memory) // 4
    sys.stdout.write(output[-3000:] + "\n")
    result = {
        "asked": len(spent),
        "held": held,
        "longest_hold": longest,
        "ms_median": round(float(np.median(spent)), 2),
        "ms_p99": round(float(np.quantile(spent, 0.99)), 2),
        "ms_worst": round(max(spent), 1),
        "rss_mib_by_quarter": [
            round(float(memory[q * quarter : (q + 1) * quarter].mean()), 1) for q in range(4)
        ],
        "rss_mib_most": round(float(memory.max()), 1),
        "descriptors_most": int(descriptors.max()),
        "descriptors_last": int(descriptors[-1]),
        "log_lines": output.count("\n"),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
