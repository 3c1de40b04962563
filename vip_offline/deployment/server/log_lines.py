"""Lines for people and for files, which no robot waits for.

Whoever says a line leaves it in a bounded queue; a thread writes. Where more come than are read,
or than anybody would read, they are left out, and how many is said.
"""

import contextlib
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from vip_offline.utils.console import Console

WAITING = 1000  # lines at most
BURST, PER_SECOND = 60, 1.0  # of lines for people: so many at once, and then so many a second
PIECE = 1000  # characters that are written at once: of UTF-8 less than a pipe takes without waiting
REPEAT_AFTER = 60.0  # s, after which the same kind of line is said again
PATIENCE = 1.0  # s to write what is left at the end
TICK = 0.2  # s


def stdout_writable(seconds: float) -> bool:
    """Whether a page can be written to the standard output without waiting; wait so long for it."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # no file: it takes everything
        return True
    return bool(poll.poll(seconds * 1000))


def lines_left_out(count: int) -> str:
    """Format the number of lines that were left out."""
    return f"log: {count} lines were left out; more came than were read, or than one a second."


class LineWriter:
    """Writes lines from any thread without blocking it, while its context is open."""

    def __init__(
        self,
        write: Callable[[str], None],
        writable: Callable[[float], bool] = stdout_writable,
        burst: float = BURST,
        missing: Callable[[int], str] = lines_left_out,
    ) -> None:
        """Begin with none.

        Args:
            write: takes up to `PIECE` characters, line ends among them.
            writable: waits up to so many seconds until `write` would not wait.
            burst: lines at once; `PER_SECOND` more for each second since.
            missing: the line that says how many were left out.
        """
        self._write, self._writable, self._missing = write, writable, missing
        self._waiting: deque[str] = deque()
        self._burst = self._left = burst
        self._at = time.monotonic()
        self._left_out, self._said = 0, -REPEAT_AFTER  # lines; when that was said
        self._changed = threading.Condition()
        self._ends: float | None = None  # when what is left is given up
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)

    @classmethod
    def on(cls, console: Console) -> Self:
        """Lines on a terminal."""

        def write(text: str) -> None:
            # whoever read our output may be gone; the robot is not
            with contextlib.suppress(OSError):
                console.print(text, end="", highlight=False, soft_wrap=True)

        return cls(write)

    def __call__(self, line: str) -> None:
        """Say a line, or leave it out; at once."""
        with self._changed:
            now = time.monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * PER_SECOND)
            self._at = now
            if self._left < 1 or len(self._waiting) >= WAITING:
                self._left_out += 1
                return
            self._left -= 1
            self._waiting.append(line)
            self._changed.notify()

    def last(self, line: str) -> None:
        """Say a line that is never left out, such as what was done in all."""
        with self._changed:
            self._waiting.append(line)
            self._changed.notify()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ends = time.monotonic() + PATIENCE
            self._changed.notify()
        self._thread.join(PATIENCE + 2 * TICK)

    def _run(self) -> None:
        while (line := self._next()) is not None:
            text = f"{line}\n"
            for start in range(0, len(text), PIECE):
                if not self._wait():
                    return
                self._write(text[start : start + PIECE])

    def _next(self) -> str | None:
        with self._changed:
            while True:
                now, ending = time.monotonic(), self._ends is not None
                due = ending or now - self._said >= REPEAT_AFTER
                if self._left_out and due and (ending or self._waiting):
                    count, self._left_out, self._said = self._left_out, 0, now
                    return self._missing(count)
                if self._waiting:
                    return self._waiting.popleft()
                if ending:
                    return None
                self._changed.wait(REPEAT_AFTER)

    def _wait(self) -> bool:
        while not self._writable(TICK):
            if self._ends is not None and time.monotonic() > self._ends:
                return False
        return True


class Tally:
    """Rate limit for one kind of event: logged at first, then with its count now and then."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._count, self._said = 0, -REPEAT_AFTER
        self._text = ""

    def __call__(self, text: str) -> None:
        """It happened."""
        self._count, self._text = self._count + 1, text
        if time.monotonic() - self._said >= REPEAT_AFTER:
            self.flush()

    def flush(self) -> None:
        """Say what was not said yet."""
        if self._count:
            times = f" ({self._count} times since this was last said)" if self._count > 1 else ""
            self._say(self._text + times)
            self._count, self._said = 0, time.monotonic()
