"""One fault on one command, and the verdict on what is left.

After the fault:

a. nothing is lost: each piece is as it was before, or as the undisturbed command leaves it;
b. nothing half made is visible: no other pieces, and ``inspect`` counts the same episodes;
c. nothing damaged is used: a command that meets damage names it and ends with exit code 2, or its
   result is that of the undisturbed world;
d. nothing hangs, no traceback, no process is left behind;
e. the same command run again ends like an undisturbed one, and leaves no other files.
"""

import json
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .commands import LIMIT, Command, committed
from .launch import Ended, Running, Stop
from .pieces import Pieces, names

KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT


@dataclass(frozen=True)
class Calm:
    """A command that nothing disturbed."""

    before: Pieces
    after: Pieces
    names: frozenset[str]
    seconds: float
    changes: int  # of names and files, about
    unsteady: frozenset[str]  # pieces that two undisturbed runs made differently
    rewrites: tuple[str, ...] = ()  # see `Command`
    code: int = 0
    output: str = ""


@dataclass(frozen=True)
class Trial:
    """What came of one."""

    command: str
    fault: str
    seed: int
    how: str  # the fault in full
    hit: bool  # it met the command at work
    wrong: tuple[str, ...]  # nothing: passed


class Bench:
    """A folder in which trials take place one after the other."""

    def __init__(self, world: Path, folder: Path, *, cold: bool = False) -> None:
        self.world, self.place = world, folder / "here"
        self._log, self.cold = folder / "log.txt", cold
        folder.mkdir(parents=True, exist_ok=True)

    def set_up(self, command: Command) -> None:
        """The command's inputs, as they were."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        for name in command.inputs:
            source, target = self.world / name, self.place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            else:
                shutil.copy2(source, target)

    def run(self, command: Command, stop: Stop | None = None, cwd: Path | None = None) -> Ended:
        """Run it in this folder."""
        place = cwd or self.place
        before = committed(place)
        running = Running(command.arguments, place, self._log, stop=stop, cold=self.cold)
        beside = command.beside
        if beside is None:
            return running.wait(LIMIT)
        client = threading.Thread(target=beside, args=(running, before))
        client.start()
        ended = running.wait(LIMIT)
        client.join()
        return ended

    def calm(self, command: Command, runs: int = 2) -> Calm:
        """Run it without a fault, and again to see what differs by itself.

        Raises:
            RuntimeError: if it fails.
        """
        seen = []
        for _ in range(runs):
            self.set_up(command)
            before = committed(self.place)
            ended = self.run(command)
            if ended.code not in command.codes:
                raise RuntimeError(f"{command.name}: {ended.code}\n{ended.output}")
            seen.append((committed(self.place), names(self.place), ended.seconds))
        (one, those, seconds), (other, these, _) = seen[0], seen[-1]
        unsteady = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
        unsteady |= {f"name {name}" for name in those ^ these}
        changes = len(those) - len(names_of_inputs(self, command))
        return Calm(
            before=before,
            after=one,
            names=frozenset(those),
            seconds=seconds,
            changes=max(4, 3 * changes),
            unsteady=frozenset(unsteady),
            rewrites=command.rewrites,
            code=ended.code or 0,
            output=ended.output,
        )


def names_of_inputs(bench: Bench, command: Command) -> set[str]:
    """Names that a command starts from."""
    found = set()
    for name in command.inputs:
        path = bench.world / name
        found.add(name)
        if path.is_dir():
            found |= {f"{name}/{each}" for each in names(path)}
    return found


def crash(text: str) -> list[str]:
    """Signs of a program that did not know what to do."""
    wrong = []
    if re.search(r"Traceback \(most recent call last\)|Segmentation fault|core dumped", text):
        where = re.findall(r'File "(.+?\.py)", line (\d+)', text)[-1:] or [("?", "?")]
        wrong.append(f"(d) a traceback: {last_line(text)} ({':'.join(where[0])})")
    if warned := re.search(r"^\S+\.py:\d+: \w*Warning: .*", text, re.MULTILINE):
        wrong.append(f"(d) a library's warning: {warned[0][-200:]}")
    return wrong


def last_line(text: str) -> str:
    """Of what a command said."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "(nothing)"


def judge_left(calm: Calm, now: Pieces) -> list[str]:
    """(a) and (b): each piece is as before or as in the end."""
    wrong = []
    for name in sorted(calm.before.keys() | calm.after.keys() | now.keys()):
        allowed = {calm.before.get(name), calm.after.get(name)}
        if now.get(name) in allowed or name in calm.unsteady:
            continue
        if name in now and any(re.fullmatch(pattern, name) for pattern in calm.rewrites):
            continue
        if name not in now:
            wrong.append(f"(a) lost: {name}")
        elif name not in calm.before and name not in calm.after:
            wrong.append(f"(b) visible: {name}")
        else:
            wrong.append(f"(a) changed: {name} ({now[name]})")
    return wrong


def judge_end(calm: Calm, now: Pieces, there: set[str], command: Command) -> list[str]:
    """(e): all is as an undisturbed run leaves it."""
    wrong = []
    for name in sorted(calm.after.keys() | now.keys()):
        if now.get(name) != calm.after.get(name) and name not in calm.unsteady:
            state = "missing" if name not in now else "left" if name not in calm.after else "other"
            wrong.append(f"(e) {state} after the next run: {name}")
    for name in sorted(there ^ calm.names):
        if f"name {name}" in calm.unsteady:
            continue
        if any(re.fullmatch(pattern, name) for pattern in command.leaves):
            continue
        state = "a leftover" if name in there else "missing"
        wrong.append(f"(e) {state} after the next run: {name}")
    return wrong


def inspected(bench: Bench, now: Pieces) -> list[str]:
    """(b): the package itself counts the episodes that the oracle counts."""
    wrong = []
    for store in sorted(
        path for path in bench.place.glob("*.zarr") if (path / "zarr.json").exists()
    ):
        if f"{store.name} attributes" not in now:
            continue
        ended = Running(("inspect", store.name, "--json"), bench.place, bench._log).wait(LIMIT)
        wrong += crash(ended.output)
        if ended.code == 0:
            said = json.loads(ended.output[ended.output.index("{") :])
            counted = (
                said["episodes"] if isinstance(said["episodes"], int) else len(said["episodes"])
            )
            known = sum(name.startswith(f"{store.name} episode ") for name in now)
            if counted != known:
                wrong.append(f"(b) inspect counts {counted} episodes of {store.name}, not {known}")
        elif ended.code != 2:
            wrong.append(f"(d) inspect {store.name} after it: exit code {ended.code}")
    return wrong


def go_on(bench: Bench, command: Command, calm: Calm, wrong: list[str]) -> None:
    """(e): run it again."""
    now = committed(bench.place)
    whole = not judge_end(calm, now, set(calm.names), command)
    again = bench.run(command)
    wrong += [f"{each} (when run again)" for each in crash(again.output)]
    refused = again.code == 2 and whole  # some commands refuse to do again what is done
    if again.code is None:
        wrong.append("(d) hung when run again")
    elif again.code != 0 and not refused:
        wrong.append(f"(e) exit code {again.code} when run again: {last_line(again.output)}")
        return
    if again.strays:
        wrong.append("(d) processes are left behind when run again")
    wrong += judge_end(calm, committed(bench.place), names(bench.place), command)


def stopped(bench: Bench, command: Command, calm: Calm, fault: str, seed: int) -> Trial:
    """A signal at a random moment."""
    draw = random.Random(f"{command.name} {fault} {seed}")
    number = {"kill": KILL, "kill at a change": KILL, "term": TERM}.get(fault, INT)
    if fault.endswith("at a change"):
        stop = Stop(number, change=draw.randint(1, calm.changes))
        how = f"{number.name} before change {stop.change}"
    else:
        # a terminal sends ctrl-C to all processes, kill to the one that is named
        stop = Stop(number, after=draw.uniform(0, calm.seconds), group=number is INT)
        how = f"{number.name} after {stop.after:.3f} of {calm.seconds:.2f} s"
    bench.set_up(command)
    ended = bench.run(command, stop)
    wrong = [] if number is KILL else crash(ended.output)
    allowed = {0, -number}
    if number is not KILL:
        allowed |= {128 + number} if not command.ends_on_signal else {128 + INT, 128 + TERM}
    if ended.code is None:
        wrong.append(f"(d) hung after {number.name}")
    elif ended.code not in allowed:
        wrong.append(f"(d) exit code {ended.code} after {number.name}: {last_line(ended.output)}")
    if ended.strays:
        wrong.append("(d) processes are left behind")
    now = committed(bench.place)
    wrong += judge_left(calm, now)
    wrong += inspected(bench, now)
    go_on(bench, command, calm, wrong)
    return Trial(command.name, fault, seed, how, ended.stopped, tuple(wrong))


def size_of(folder: Path) -> tuple[int, int]:
    """Bytes in whole pages, and inodes."""
    used, count = 0, 1
    for path in folder.rglob("*"):
        count += 1
        used += 4096 * -(-path.lstat().st_size // 4096) if path.is_file() else 0
    return used, count


def mounts() -> bool:
    """Whether a small file system may be mounted here."""
    done = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return done.returncode == 0


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A tmpfs on a folder."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        check=True,
        capture_output=True,
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def remount(folder: Path, options: str) -> None:
    """Change a mounted file system."""
    subprocess.run(
        ["mount", "-o", f"remount,{options}", str(folder)], check=True, capture_output=True
    )


def full(bench: Bench, command: Command, calm: Calm, fault: str, seed: int) -> Trial:
    """A disk that is full, or has no inodes left, somewhere on the way."""
    draw = random.Random(f"{command.name} {fault} {seed}")
    bench.set_up(command)
    ended = bench.run(command)
    need, files = size_of(bench.place)
    bench.set_up(command)
    before, few = size_of(bench.place)
    room = bench.place.with_name("room")
    shutil.rmtree(room, ignore_errors=True)
    bench.place.rename(room)
    bench.place.mkdir()
    wrong: list[str] = []
    if fault == "disk full":
        size = before + draw.randrange(max(4096, need - before))
        options, how = f"size={max(4096, size)}", f"{size - before} of {need - before} bytes free"
    else:
        inodes = few + draw.randrange(max(1, files - few))
        options, how = f"nr_inodes={inodes + 1}", f"{inodes - few} of {files - few} inodes free"
    with mounted(bench.place, "size=512m"):
        shutil.copytree(room, bench.place, dirs_exist_ok=True, symlinks=True)
        remount(bench.place, options)
        ended = bench.run(command)
        wrong += crash(ended.output)
        if ended.code is None:
            wrong.append("(d) hung on a full disk")
        elif ended.code not in ((0, 2, 128 + INT) if command.ends_on_signal else (0, 2)):
            wrong.append(f"(d) exit code {ended.code} on a full disk: {last_line(ended.output)}")
        if ended.strays:
            wrong.append("(d) processes are left behind")
        now = committed(bench.place)
        wrong += judge_left(calm, now)
        if ended.code == 0 and not command.ends_on_signal:
            wrong += judge_end(calm, now, names(bench.place), command)
        remount(bench.place, "size=512m,nr_inodes=100000")
        wrong += inspected(bench, now)
        go_on(bench, command, calm, wrong)
    shutil.rmtree(room, ignore_errors=True)
    return Trial(command.name, fault, seed, how, ended.code == 2, tuple(wrong))


def read_only(bench: Bench, command: Command, calm: Calm, fault: str, seed: int) -> Trial:
    """A place where nothing may be written."""
    bench.set_up(command)
    room = bench.place.with_name("room")
    shutil.rmtree(room, ignore_errors=True)
    bench.place.rename(room)
    bench.place.mkdir()
    wrong: list[str] = []
    with mounted(bench.place, "size=512m"):
        shutil.copytree(room, bench.place, dirs_exist_ok=True, symlinks=True)
        remount(bench.place, "ro")
        ended = bench.run(command)
        wrong += crash(ended.output)
        if ended.code is None:
            wrong.append("(d) hung on a read-only disk")
        elif ended.code != 2 and not (ended.code == 0 and calm.before == calm.after):
            wrong.append(
                f"(d) exit code {ended.code} on a read-only disk: {last_line(ended.output)}"
            )
        remount(bench.place, "rw")
        wrong += judge_left(calm, committed(bench.place))
        go_on(bench, command, calm, wrong)
    shutil.rmtree(room, ignore_errors=True)
    return Trial(command.name, fault, seed, "mounted ro", True, tuple(wrong))


def twice(bench: Bench, command: Command, calm: Calm, fault: str, seed: int) -> Trial:
    """Two of the same at once, the second a moment later."""
    draw = random.Random(f"{command.name} {fault} {seed}")
    later = draw.uniform(0, calm.seconds)
    bench.set_up(command)
    log = bench._log.with_name("second.txt")
    first = Running(command.arguments, bench.place, bench._log)
    ends: list[Ended] = []
    waiting = threading.Thread(target=lambda: ends.append(first.wait(LIMIT)))
    waiting.start()
    time.sleep(later)
    ends.append(Running(command.arguments, bench.place, log).wait(LIMIT))
    waiting.join()
    wrong: list[str] = []
    for ended in ends:
        wrong += crash(ended.output)
        if ended.code not in (0, 2):
            wrong.append(f"(d) exit code {ended.code} beside another: {last_line(ended.output)}")
    if not any(ended.code == 0 for ended in ends):
        wrong.append("(e) neither of two at once ended well")
    wrong += judge_left(calm, committed(bench.place))
    go_on(bench, command, calm, wrong)
    return Trial(command.name, fault, seed, f"second after {later:.3f} s", True, tuple(wrong))


def copied(bench: Bench, command: Command, calm: Calm, fault: str, seed: int) -> Trial:
    """A copy that is taken while it writes, and gone on with."""
    draw = random.Random(f"{command.name} {fault} {seed}")
    after = draw.uniform(0, calm.seconds)
    bench.set_up(command)
    running = Running(command.arguments, bench.place, bench._log)
    copy = bench.place.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)

    def take() -> None:
        time.sleep(after)
        subprocess.run(["cp", "-r", bench.place, copy], check=False, capture_output=True)

    taking = threading.Thread(target=take)
    taking.start()
    running.wait(LIMIT)
    taking.join()
    wrong = judge_end(calm, committed(bench.place), names(bench.place), command)
    shutil.rmtree(bench.place)
    copy.rename(bench.place)
    wrong += [f"{each} (in the copy)" for each in judge_left(calm, committed(bench.place))]
    go_on(bench, command, calm, wrong)
    return Trial(command.name, fault, seed, f"cp -r after {after:.3f} s", True, tuple(wrong))


def available(command: Command, folder: Path) -> bool:
    """Whether this version has the command."""
    if not command.needs:
        return True
    log = folder / "help.txt"
    asked = ("inspect", "--help") if command.name.startswith("inspect") else ("--help",)
    said = Running(asked, folder, log).wait(LIMIT).output
    return re.search(rf"^ +-*{command.needs}\b", said, re.MULTILINE) is not None


FAULTS = {
    "kill": stopped,
    "kill at a change": stopped,
    "term": stopped,
    "int": stopped,
    "int at a change": stopped,
    "disk full": full,
    "no inodes": full,
    "read-only": read_only,
    "two at once": twice,
    "copied": copied,
}


def fits(command: Command, fault: str) -> bool:
    """Whether a fault makes sense for a command."""
    if type(command) is not Command:
        return False
    if fault in ("two at once", "copied"):
        return command.beside is None
    return not (fault == "int at a change" and command.ends_on_signal)
