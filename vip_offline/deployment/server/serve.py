"""From a policy folder to a served policy and what is said of it at the end."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vip_offline.deployment.guard.key_map import read_key_map
from vip_offline.deployment.server.log_lines import LineWriter
from vip_offline.deployment.server.server import closing_line, run_server
from vip_offline.deployment.server.session import prepare
from vip_offline.deployment.serving_options import check_serve_options, with_api_key
from vip_offline.options import ServeOptions
from vip_offline.policies.runtime import load_policy
from vip_offline.rewards.success.judge import Judge


def serve(
    folder: Path,
    options: ServeOptions,
    say: Callable[[str], None],
) -> str:
    """Serve until SIGINT or SIGTERM.

    Args:
        folder: of the policy.
        options: how.
        say: given a line when it is ready, and when a connection had to be closed.

    Returns:
        What was served, in one line.

    Raises:
        VipOfflineError: if an option is wrong, the policy cannot be loaded, or the port is taken.
    """
    options = with_api_key(options)
    check_serve_options(options)  # before the seconds that loading takes
    policy = load_policy(folder, on_prepare=say, sealed=not options.unsealed)
    judge = None
    if options.success_by is not None:
        judge = Judge.load(options.success_by, options.success_weights, on_prepare=say)
    mapped = read_key_map(options.key_map, policy.interface)
    with contextlib.ExitStack() as stack:
        entries = stack.enter_context(log_file(options.log, say)) if options.log else None
        service = prepare(policy, mapped, options, say, entries, judge)
        run_server(service)
    return closing_line(service)


@contextlib.contextmanager
def log_file(path: Path, say: Callable[[str], None]) -> Iterator[LineWriter]:
    """Lines for a file; a full disk costs the log and not the robot, a slow one not even that."""
    with path.open("a", encoding="utf-8") as file:
        failed = False

        def write(text: str) -> None:
            nonlocal failed
            if failed:
                return
            try:
                file.write(text)
                file.flush()
            except OSError as error:
                failed = True
                say(f"--log: {error.strerror or error}; nothing more is logged.")

        with LineWriter(write, lambda seconds: True, math.inf, _missing) as lines:
            yield lines
        if failed:
            with contextlib.suppress(OSError):  # what it could not write, once more
                file.close()


def _missing(count: int) -> str:
    return json.dumps({"time": round(time.time(), 3), "left_out": count})
