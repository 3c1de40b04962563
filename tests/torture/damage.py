"""Damaged files: what reads them names them, or does as if nothing had happened (c)."""

import os
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .commands import PRETRAIN, Command, committed
from .trials import Bench, Calm, Trial, crash, last_line

LOGS = ("tensorboard",)  # for people


@dataclass(frozen=True)
class Reader(Command):
    """A command that reads what is damaged."""

    victim: str = ""  # file or folder of the world
    checks: bool = False  # it is there to find damage
    # whether its files carry checksums of ours; a changed byte in somebody else's shows nowhere
    ours: bool = True


def _reader(
    name: str, victim: str, arguments: str, *inputs: str, checks: bool = False, ours: bool = True
) -> Reader:
    return Reader(
        name,
        tuple(arguments.split()),
        (victim, *inputs),
        codes=(0, 1) if checks else (0,),  # 1: there was something to find before
        victim=victim,
        checks=checks,
        ours=ours,
    )


READERS: tuple[Reader, ...] = (
    _reader("store: train", "demos.zarr", "train demos.zarr --algo bc --steps 40 --out policy"),
    _reader(
        "store: relabel",
        "demos.zarr",
        "relabel demos.zarr --encoder pixels --name other --reward distance",
    ),
    _reader("store: export", "demos.zarr", "export demos.zarr exported.zarr --to zarr"),
    _reader("store: analyze", "demos.zarr", "analyze demos.zarr --out analysis"),
    _reader("store: inspect --check", "demos.zarr", "inspect demos.zarr --check", checks=True),
    _reader(
        "videos of a store: relabel",
        "folders",
        "relabel folders.zarr --encoder pixels --camera front --goal last",
        "folders.zarr",
    ),
    _reader("policy: verify", "tiny-policy", "verify tiny-policy", checks=True),
    _reader(
        "policy: rollout",
        "tiny-policy",
        "rollout tiny-policy --placements 1 --horizon 3 --processes 1 --videos 0",
    ),
    _reader("bare policy: ship", "bare", "ship bare", "demos.zarr"),
    _reader(
        "encoder: relabel",
        "encoder/model.pt",
        "relabel plain.zarr --encoder vip-mini --weights encoder/model.pt --backend torch",
        "plain.zarr",
    ),
    Reader(
        "pre-training: goes on",
        ("pretrain", "clips", "--out", "encoder", *PRETRAIN, "--steps", "8"),
        ("encoder", "clips"),
        victim="encoder",
    ),
    _reader(
        "training: goes on",
        ".stopped.partial",
        "train demos.zarr --algo bc --steps 2000 --out stopped",
        "demos.zarr",
    ),
    _reader("recipe: run", "tiny", "run tiny.toml", "tiny.toml", "tiny.zarr"),
    _reader("robomimic: import", "lift.hdf5", "import lift.hdf5 new.zarr", ours=False),
    _reader("lerobot: import", "lero", "import lero new.zarr --decode", ours=False),
    _reader("folders: import", "folders", "import folders new.zarr --decode", ours=False),
)


def flip(data: bytearray, draw: random.Random) -> bytearray:
    """One bit."""
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def cut(data: bytearray, draw: random.Random) -> bytearray:
    """Its end is gone."""
    return data[: draw.randrange(len(data) or 1)]


def zeros(data: bytearray, draw: random.Random) -> bytearray:
    """A page of zeros, as after a power cut."""
    start = draw.randrange(len(data) // 4096 + 1) * 4096
    data[start : start + 4096] = bytes(len(data[start : start + 4096]))
    return data


def empty(data: bytearray, draw: random.Random) -> bytearray:
    """Nothing is left in it."""
    return bytearray()


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytearray] | None] = {
    "flip": flip,
    "cut": cut,
    "zeros": zeros,
    "empty": empty,
    "gone": None,
}


def pick(folder: Path, draw: random.Random) -> Path:
    """A file: first a kind of file, so that the few are hit as often as the many."""
    if folder.is_file():
        return folder
    kinds = defaultdict[tuple[str, ...], list[Path]](list)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size and not any(n in path.parts for n in LOGS):
            parent = path.relative_to(folder).parent
            kinds[(*parent.parts[:2], path.suffix if path.suffix.isalpha() else "")].append(path)
    return draw.choice(kinds[draw.choice(sorted(kinds))])


def damaged(bench: Bench, command: Command, calm: Calm, fault: str, seed: int) -> Trial:
    """Damage one file, and read it."""
    assert isinstance(command, Reader)
    draw = random.Random(f"{command.name} {fault} {seed}")
    bench.set_up(command)
    path, change = pick(bench.place / command.victim, draw), DAMAGES[fault]
    name = path.relative_to(bench.place).as_posix()
    state, was = path.stat(), path.read_bytes()
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(bytearray(was), draw))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # a disk that rots tells nobody
    unchanged = change is not None and path.read_bytes() == was
    before = committed(bench.place)
    ended = bench.run(command)
    wrong = crash(ended.output)
    now = committed(bench.place)
    if ended.code is None:
        wrong.append("(d) hung")
    elif ended.code not in ((0, 1, 2) if command.checks else (0, 2)):
        wrong.append(f"(d) exit code {ended.code}: {last_line(ended.output)}")
    elif command.checks and ended.output == calm.output and before != calm.before:
        wrong.append(f"(c) sees nothing: {name}")
    elif ended.code == calm.code:
        said = _named(name, command.victim, ended.output) and path.name in ended.output
        for key in sorted(calm.after.keys() | now.keys()):
            made = calm.after.get(key) != calm.before.get(key) or key not in before
            other = now.get(key) != calm.after.get(key) and key not in calm.unsteady
            left = said and now.get(key) == before.get(key)  # not written, with the reason
            if made and other and not left and not _is_of(name, key):
                wrong.append(f"(c) used in {key}: {name}")
    else:
        if not _named(name, command.victim, ended.output):
            wrong.append(f"(c) not named: {name} in: {last_line(ended.output)}")
        for key in sorted(now.keys() | before.keys()):
            allowed = before.get(key), calm.after.get(key)
            if now.get(key) not in allowed and key not in calm.unsteady:
                wrong.append(f"(a) changed although refused: {key}")
    how = f"{name} of {len(was)} bytes, exit code {ended.code}"
    return Trial(command.name, fault, seed, how, not unchanged, tuple(wrong))


def _is_of(name: str, key: str) -> bool:
    """Whether a piece is the damaged file itself, which nobody had to make again."""
    return key.split(",")[0] == name or name.startswith(f"{key.split(' ')[0]}/")


def _named(name: str, victim: str, output: str) -> bool:
    said = output.replace("\n", " ")
    parts = Path(name).parts
    return Path(victim).name in said or parts[-1] in said


def can(command: Command, fault: str) -> bool:
    """Whether a fault of this kind can be seen in a folder of this kind."""
    return isinstance(command, Reader) and (command.ours or fault not in ("flip", "zeros"))
