"""The commands that write, each at its smallest, and the world of files that they start from."""

import contextlib
import os
import re
import shutil
import signal
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .launch import Running, call
from .pieces import Pieces, pieces

LIMIT = 90.0  # s after which a command counts as hung; undisturbed they take 0.2 to 8 s
LENGTHS, SUCCESSES = (10, 9, 10, 8), (True, False, True, True)
FILMS = 6
RECIPE = """
store = "tiny.zarr"
out = "tiny"
[record]
episodes = 3
failures = 1
image_size = 32
max_steps = 8
[relabel]
encoder = "pixels"
[train]
tau = 1.0
steps = 40
hidden = [8]
[rollout]
placements = 2
horizon = 4
videos = 1
processes = 1
environments = 4
[compare]
arms = ["bc", "rwr-step"]
seeds = 2
processes = 1
"""
PRETRAIN = (
    *("--backbone", "vip-mini", "--batch-size", "4", "--steps", "6", "--save-every", "2"),
    *("--validate-every", "3", "--keep", "9", "--readers", "1"),
)
OLD = Path(__file__).parents[1] / "written_by/0.1.0.tar.xz"  # files of an earlier release
OLD_STORE = "demos.zarr"
STREAMED = "streamed.zarr"


@dataclass(frozen=True)
class Command:
    """One row of the table."""

    name: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]  # files and folders of the world
    # called beside it, with what is committed; e.g. a client, without which it would wait
    beside: Callable[[Running, Pieces], None] | None = None
    ends_on_signal: bool = False  # ctrl-C and SIGTERM are its usual end
    sim: bool = False  # it draws
    needs: str = ""  # a word of `vip-offline --help` without which it is not there yet
    side_processes: bool = False
    codes: tuple[int, ...] = (0,)  # with which it may end undisturbed
    leaves: tuple[str, ...] = ()  # patterns of names that may differ from run to run
    # pieces that are written more than once, whole each time: `train` makes a policy, then ships it
    rewrites: tuple[str, ...] = ()


def stream(running: Running, before: Pieces) -> None:
    """A client that streams three episodes, less those that are stored, and asks for the end."""
    from made_up_recordings import episode

    from vip_offline.deployment.server.client import Client
    from vip_offline.errors import VipOfflineError

    stored = sum(name.startswith(f"{STREAMED} episode") for name in before)
    end = time.monotonic() + LIMIT
    while not (port := re.search(r"serving ws://.*:(\d+)", running.output)):
        if running.code() is not None or time.monotonic() > end:
            return
        time.sleep(0.01)
    try:
        with Client(port=int(port[1])) as client:
            for number in range(stored, 3):
                for message in episode(6, number != 1, first=number):
                    client.infer(message)
    except (VipOfflineError, OSError):
        if running.stop is not None:
            return  # the recorder was stopped
    running.send(signal.SIGINT)


def _train(*more: str) -> tuple[str, ...]:
    return ("train", "demos.zarr", "--steps", "60", *more)


SIMULATED = ("--image-size", "32", "--max-steps", "8")
COMMANDS: tuple[Command, ...] = (
    Command(
        "record",
        ("record", "new.zarr", "--episodes", "3", "--failures", "1", *SIMULATED),
        (),
        sim=True,
    ),
    Command(
        "record --from-client",
        (
            *("record", STREAMED, "--from-client", "--task", "push", "--control-rate", "10"),
            *("--port", "0"),
        ),
        (),
        beside=stream,
        ends_on_signal=True,
    ),
    Command("import folders", ("import", "folders", "new.zarr"), ("folders",)),
    Command(
        "import --copy-frames",
        ("import", "folders", "new.zarr", "--copy-frames", "--decode"),
        ("folders",),
    ),
    Command("import robomimic", ("import", "lift.hdf5", "new.zarr"), ("lift.hdf5",)),
    Command("import lerobot", ("import", "lero", "new.zarr"), ("lero",)),
    Command(
        "import --overwrite",
        ("import", "folders", "folders.zarr", "--copy-frames", "--overwrite"),
        ("folders", "folders.zarr"),
    ),
    Command("relabel", ("relabel", "plain.zarr", "--encoder", "pixels"), ("plain.zarr",)),
    Command(
        "relabel --overwrite",
        (
            *("relabel", "demos.zarr", "--encoder", "pixels", "--reward", "distance"),
            "--overwrite",
        ),
        ("demos.zarr",),
    ),
    Command("delete", ("delete", "demos.zarr", "--label", "pixels"), ("demos.zarr",)),
    Command(
        "delete --embedding",
        ("delete", "demos.zarr", "--label", "pixels", "--embedding", "pixels"),
        ("demos.zarr",),
    ),
    Command("analyze", ("analyze", "demos.zarr", "--out", "analysis"), ("demos.zarr",)),
    Command(
        "pretrain",
        ("pretrain", "clips", "--out", "encoder", *PRETRAIN),
        ("clips",),
        leaves=(r"encoder/tensorboard/.*",),
        rewrites=(r"encoder/model\.pt",),
    ),
    *(
        Command(
            f"export {kind}",
            ("export", store, out, "--to", kind),
            (store, "lero") if store == "lero.zarr" else (store,),
        )
        for kind, store, out in (
            ("lerobot", "lero.zarr", "exported"),
            ("lerobot-progress", "lero.zarr", "exported.parquet"),
            ("robomimic", "demos.zarr", "exported.hdf5"),
            ("minari", "demos.zarr", "exported"),
            ("zarr", "demos.zarr", "exported.zarr"),
            ("d3rlpy", "demos.zarr", "exported.h5"),
        )
    ),
    Command(
        "train rwr",
        _train("--tau", "1.0", "--out", "policy"),
        ("demos.zarr",),
        rewrites=(r".*/manifest\.json",),
    ),
    Command(
        "train iql",
        _train("--algo", "iql", "--out", "policy"),
        ("demos.zarr",),
        rewrites=(r".*/manifest\.json",),
    ),
    Command(
        "train --seeds 3",
        _train("--algo", "bc", "--out", "policies", "--seeds", "3", "--processes", "2"),
        ("demos.zarr",),
        side_processes=True,
        rewrites=(r".*/manifest\.json",),
    ),
    Command(
        "rollout",
        (
            *("rollout", "tiny-policy", "--placements", "2", "--horizon", "3"),
            *("--processes", "1", "--videos", "1"),
        ),
        ("tiny-policy", "tiny.zarr"),
        sim=True,
    ),
    Command(
        "compare",
        (
            *("compare", "tiny.zarr", "--arms", "bc,rwr-step", "--seeds", "1", "--tau", "1.0"),
            *("--steps", "40", "--placements", "1", "--out", "compared"),
        ),
        ("tiny.zarr",),
        sim=True,
        side_processes=True,
        rewrites=(r".*/manifest\.json",),
    ),
    Command(
        "run", ("run", "tiny.toml"), ("tiny.toml",), sim=True, rewrites=(r".*/manifest\.json",)
    ),
    Command("ship", ("ship", "bare", "--store", "demos.zarr"), ("bare", "demos.zarr")),
    Command("inspect --seal", ("inspect", "demos.zarr", "--seal"), ("demos.zarr",), needs="seal"),
    Command("upgrade", ("upgrade", "old.zarr"), ("old.zarr",), needs="upgrade"),
)


def _basis(folder: Path) -> None:
    """Origins, demonstrations and videos, made without any command."""
    import origins
    from conftest import brightness_episode
    from made_up_clips import write_film

    from vip_offline.dataset.store_writer import writing

    for name in ("plain.zarr", "demos.zarr"):
        said: dict[str, Any] = {"task": "drawer-close", "proprio": ["x", "y", "z", "g"]}
        with writing(folder / name, create=said) as store:
            for index, (length, success) in enumerate(zip(LENGTHS, SUCCESSES, strict=True)):
                store.append(brightness_episode(length, success, index))
    origins.folders(folder / "folders")
    origins.robomimic(folder / "lift.hdf5")
    origins.lerobot(folder / "lero")
    (folder / "clips").mkdir()
    for number in range(FILMS):
        write_film(folder / f"clips/{number}.mp4", count=5 + number % 3, offset=30 * number)
    (folder / "tiny.toml").write_text(RECIPE)
    with tarfile.open(OLD) as archive:
        archive.extractall(folder / "old", filter="data")
    (folder / "old" / OLD_STORE).rename(folder / "old.zarr")
    shutil.rmtree(folder / "old")


def _bare_policy(folder: Path) -> None:
    """A policy that was not made ready for another computer."""
    from vip_offline.options import TrainOptions
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
    from vip_offline.training.run import train

    quiet_d3rlpy()
    os.chdir(folder)
    train(Path("demos.zarr"), TrainOptions(algo="bc", steps=40, hidden=(8,)), Path("bare"))


def _stopped_training(folder: Path) -> None:
    """The unfinished folder of a training that was stopped after its first thousand steps."""
    from vip_offline.options import TrainOptions
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
    from vip_offline.training.run import train

    quiet_d3rlpy()
    os.chdir(folder)

    def stop(steps: int) -> None:
        if steps:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        train(Path("demos.zarr"), TrainOptions(algo="bc", steps=2000), Path("stopped"), stop)


MADE: dict[str, tuple[tuple[str, ...], ...]] = {
    "folders.zarr": (("import", "folders", "folders.zarr"),),
    "demos.zarr": (("relabel", "demos.zarr", "--encoder", "pixels"),),
    "lero.zarr": (
        ("import", "lero", "lero.zarr"),
        ("relabel", "lero.zarr", "--encoder", "pixels"),
    ),
    "tiny.zarr": (("run", "tiny.toml"),),
    "tiny-policy": (
        ("train", "tiny.zarr", "--algo", "bc", "--steps", "40", "--out", "tiny-policy"),
    ),
    "encoder": (("pretrain", "clips", "--out", "encoder", *PRETRAIN),),
}  # by which commands a file or folder of the world is made, in this order


def make_world(folder: Path, log: Path, wanted: Iterable[str] = ()) -> None:
    """Make what commands start from, or what may be damaged.

    Args:
        folder: that is not there yet.
        log: file for what is said.
        wanted: names of files and folders; none: all.

    Raises:
        RuntimeError: if it cannot be made.
    """
    folder.mkdir(parents=True)
    call(_basis, folder, log)
    names = {name.split("/")[0] for name in wanted or (*MADE, "bare", ".stopped.partial")}
    if names & {"tiny-policy", "tiny"}:
        names.add("tiny.zarr")
    if names & {"bare", ".stopped.partial"}:
        names.add("demos.zarr")
    for name, commands in MADE.items():
        for arguments in commands if name in names else ():
            ended = Running(arguments, folder, log).wait(LIMIT)
            if ended.code != 0:
                raise RuntimeError(f"{' '.join(arguments)}: {ended.code}\n{ended.output}")
    if "bare" in names:
        call(_bare_policy, folder, log)
    if ".stopped.partial" in names:
        call(_stopped_training, folder, log)


def committed(folder: Path) -> Pieces:
    """`pieces`, of a folder that may not be there yet."""
    return pieces(folder) if folder.exists() else {}
