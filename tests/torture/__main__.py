"""The torture at length: ``python -m tests.torture --trials 40 --state DIR``."""

import json
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

TESTS = Path(__file__).parents[1]
FAST = Path("/dev/shm")  # where flushing to the disk costs nothing; signals do not care


def main(
    commands: Annotated[
        list[str] | None, typer.Argument(help="Whose name begins so; default: all.")
    ] = None,
    trials: Annotated[int, typer.Option(help="Per command and fault.")] = 4,
    state: Annotated[
        Path, typer.Option(help="Folder of results; an interrupted run goes on there.")
    ] = Path("runs/torture"),
    fault: Annotated[list[str] | None, typer.Option(help="Default: all.")] = None,
    jobs: Annotated[int, typer.Option(help="Trials side by side.")] = 1,
    first: Annotated[int, typer.Option(help="Seed of the first trial.")] = 0,
    cold: Annotated[
        bool, typer.Option("--cold", help="Whole interpreters, with their imports.")
    ] = False,
    work: Annotated[Path | None, typer.Option(help="Default: in memory, if it may be.")] = None,
) -> None:
    """Faults on every command that writes; prints passes, and what failed."""
    sys.path.insert(0, str(TESTS))
    # a shell starts what runs in the background with SIGINT ignored, and commands inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from rich.console import Console

    from .commands import COMMANDS, make_world
    from .damage import DAMAGES, READERS, can, damaged
    from .results import COUNTS, code_of, counts, failures, keep, kept, table
    from .trials import FAULTS, Bench, Calm, Trial, available, fits, mounts

    console = Console(markup=False, highlight=False, soft_wrap=True)
    state.mkdir(parents=True, exist_ok=True)
    every = {**FAULTS, **dict.fromkeys(DAMAGES, damaged)}
    rows = (*COMMANDS, *READERS)
    faults = fault or list(every)
    for name in faults:
        if name not in every:
            raise typer.BadParameter(f"{name}: no fault; there are {', '.join(every)}")
    named = [
        row for row in rows if not commands or any(row.name.startswith(word) for word in commands)
    ]
    if not mounts():
        left_out = [name for name in faults if name in ("disk full", "no inodes", "read-only")]
        faults = [name for name in faults if name not in left_out]
        if left_out:
            console.print(f"left out, nothing may be mounted here: {', '.join(left_out)}")
    code = code_of()
    done, others = kept(state, code)
    if others:
        console.print(f"{others} trials of other code in {state} do not count")
    over = {(each.command, each.fault, each.seed) for each in done}
    base = Path(tempfile.mkdtemp(prefix="torture-", dir=work or (FAST if FAST.is_dir() else None)))
    console.print(f"code {code}; in {base}")
    try:
        inputs = {name for each in named for name in each.inputs}
        make_world(base / "world", base / "log.txt", inputs)
        there = [each for each in named if available(each, base)]
        absent = [each.name for each in named if each not in there]
        if absent:
            console.print(f"left out, not in this version: {', '.join(absent)}")
        queue = SimpleQueue[tuple[int, int]]()
        rounds = [
            (index, seed) for seed in range(first, first + trials) for index in range(len(there))
        ]
        for each in rounds:
            queue.put(each)
        lock, stop, calms = threading.Lock(), threading.Event(), dict[str, Calm]()
        guards = {command.name: threading.Lock() for command in there}

        def take(number: int) -> None:
            bench = Bench(base / "world", base / f"slot-{number}", cold=cold)
            while not queue.empty() and not stop.is_set():
                index, seed = queue.get()
                command = there[index]
                wanted = [
                    name
                    for name in faults
                    if (fits(command, name) if name in FAULTS else can(command, name))
                    and (command.name, name, seed) not in over
                ]
                if not wanted:
                    continue
                for name in wanted:
                    if stop.is_set():
                        return
                    try:
                        with guards[command.name]:
                            if command.name not in calms:
                                calms[command.name] = bench.calm(command)
                        trial = every[name](bench, command, calms[command.name], name, seed)
                    except Exception as error:
                        # of the harness, or a command that fails undisturbed: the others go on
                        wrong = f"(x) no verdict: {type(error).__name__}: {error}"
                        trial = Trial(command.name, name, seed, "", False, (wrong,))
                    with lock:
                        done.append(trial)
                        keep(state, trial, code)
                        for each in trial.wrong:
                            console.print(
                                f"{trial.command}, {name}, seed {seed} ({trial.how}): {each}"
                            )

        workers = [threading.Thread(target=take, args=(number,)) for number in range(jobs)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt:
            stop.set()
            console.print("stops after the trials that are under way; started again it goes on")
            for worker in workers:
                worker.join()
    finally:
        shutil.rmtree(base, ignore_errors=True)
    order = {command.name: place for place, command in enumerate(rows)}
    done.sort(key=lambda each: (order.get(each.command, 99), list(every).index(each.fault)))
    for kinds in (FAULTS, DAMAGES):
        console.print(table([each for each in done if each.fault in kinds]))
        console.print()
    for line in failures(done):
        console.print(line)
    said = counts(done)
    (state / COUNTS).write_text(json.dumps({"code": code, **said}, indent=2) + "\n")
    total = said["total"]
    console.print(
        f"{total['passed']} of {total['trials']} trials passed; {total['hit']} met the command at "
        f"work -> {state / COUNTS}"
    )
    if total["passed"] < total["trials"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
