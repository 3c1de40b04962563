"""From options to a recorder, and what is said of it at the end."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from vip_offline.config import read_toml
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.recording.episode_stream import MAX_STEPS, RecordingInfo
from vip_offline.deployment.recording.record_server import Recorder
from vip_offline.deployment.server.server import run_server
from vip_offline.deployment.serving_options import check_serve_options, is_loopback, with_api_key
from vip_offline.errors import VipOfflineError
from vip_offline.options import ClientOptions, ServeOptions
from vip_offline.rewards.success.judge import Judge

DESCRIPTION = "file (--describe)"  # for messages


def record_task(
    path: Path | None,
    task: str,
    client: ClientOptions,
    options: ServeOptions,
    say: Callable[[str], None],
    max_steps: int | None,
) -> str:
    """Record a task that is named in a few words; see `record_from_client`.

    Args:
        path: the store; None: under ``datasets/``, named after the task.
        task: in words.
        client: what is known of the robot.
        options: who may reach it, where.
        say: called with lines for the user.
        max_steps: rows of an episode; None: `MAX_STEPS`.

    Args:
        path: the store; None: under ``datasets/``, named after the task.
        task: in words.
        control_rate: actions per second; None: the description says it.
        describe: TOML file that describes the robot; None: nothing does.
        options: who may reach it, where.
        say: called with lines for the user.
        max_steps: rows of an episode; None: `MAX_STEPS`.

    Raises:
        VipOfflineError: if the description cannot be read; see `record_from_client`.
    """
    description = read_toml(client.describe, DESCRIPTION) if client.describe is not None else {}
    recording = RecordingInfo.of(task, client.control_rate, description)
    options = with_api_key(options)
    name = re.sub(r"[^a-zA-Z0-9]+", "-", task).strip("-")
    path = path or Path("datasets") / f"{name}.zarr"
    return record_from_client(path, recording, options, say, max_steps or MAX_STEPS)


def record_from_client(
    path: Path,
    info: RecordingInfo,
    options: ServeOptions,
    say: Callable[[str], None],
    max_steps: int = MAX_STEPS,
) -> str:
    """Record until SIGINT or SIGTERM.

    Args:
        path: the store; made if it is not there, continued if it is.
        info: of all episodes.
        options: who may reach it, where.
        say: given a line when it is ready, per episode, and when a connection had to be closed.
        max_steps: rows of an episode.

    Returns:
        What was recorded, in one line.

    Raises:
        VipOfflineError: if an option is wrong, the store is another one or in use, or the port is.
    """
    if not is_loopback(options.host) and not options.api_key:
        raise VipOfflineError(
            f"--host {options.host}: other computers could write into the store. Give an API key "
            "by --api-key-file FILE or $VIP_OFFLINE_API_KEY, or leave --host out."
        )
    check_serve_options(options)
    if max_steps < 2:
        raise VipOfflineError(f"--max-steps {max_steps}: an episode has two rows at least.")
    judge = None
    if options.success_by is not None:
        judge = Judge.load(options.success_by, options.success_weights, on_prepare=say)
    new = not path.exists() or not any(path.iterdir())
    # locked until the end: an episode that was recorded must not find the store taken
    with writing(path, create=info.attributes()) as store:
        recorder = Recorder(store, info, options, say, max_steps, judge=judge)
        try:
            run_server(recorder)
        finally:
            if recorder.recording is not None:  # it did not let go in time
                recorder.recording.close()
            # or the next try would have to give the same task and rate; under the lock, so that
            # it is nobody else's
            if new and not len(store):
                shutil.rmtree(path, ignore_errors=True)
    return recorder.closing_line()
