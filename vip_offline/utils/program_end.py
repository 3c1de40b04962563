"""How the program ends: each error as one line, and an exit code that says whose fault it is.

0 done, 1 a bug (or findings of a check), 2 what the user can put right, 130 ctrl-C, 143 SIGTERM.
"""

import contextlib
import errno
import io
import os
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from rich.text import Text

from vip_offline.errors import NO_SPACE, VipOfflineError, about, full_disk
from vip_offline.utils.cache_folder import writable_cache
from vip_offline.utils.console import Console, printable
from vip_offline.utils.parallel import is_first

BUG, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143  # exit codes
TRACEBACK = "VIP_OFFLINE_TRACEBACK"  # set: print it
ELSEWHERE = " Choose another place."
ACCESS = " Give yourself access, or choose another place."
SPACE = " Free some space and run the same command again."
HINTS = {
    **dict.fromkeys(NO_SPACE, SPACE),
    errno.EACCES: ACCESS,
    errno.EPERM: ACCESS,
    errno.EROFS: ELSEWHERE,
    errno.ENOTDIR: " A file is where a folder should be; choose another place.",
    errno.EISDIR: " A folder is where a file should be; choose another place.",
    errno.EEXIST: ELSEWHERE,
    errno.ENAMETOOLONG: " Choose a shorter name.",
    errno.EMLINK: ELSEWHERE,
    errno.ELOOP: " Its symbolic links lead in a circle.",
    errno.EXDEV: " It lies on another file system; choose another place.",
    errno.EMFILE: " Allow more open files: ulimit -n 4096.",
    errno.ENODEV: ELSEWHERE,
    errno.ENXIO: ELSEWHERE,
    errno.EIO: " The disk may be failing.",
}
# what they raise says that a file is not as it should be; of torch only what reads and writes
LIBRARIES = (
    *("zarr", "numcodecs", "h5py", "pyarrow", "av", "safetensors", "safetensors_rust", "PIL"),
    *("json", "zipfile", "zlib", "torch.serialization", "torch._weights_only_unpickler", "minari"),
)
RETRY_AFTER = 0.01  # s until a lost interrupt is tried again
NO_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "cannot allocate memory")


def run(program: Callable[[], None]) -> NoReturn:
    """Run a program and exit: an error ends in one line on stderr, never in a traceback.

    Args:
        program: ends by returning, by `SystemExit` or in an error.
    """
    _open_standard_streams()
    terminated = _interrupt_on_sigterm()
    _keep_interrupts(terminated)
    code = exit_code_of(program)
    if terminated and code:
        code = TERMINATED
    if code in (INTERRUPTED, TERMINATED) and is_first():
        _say("Stopped. The same command goes on from here.")
    sys.exit(code)


def exit_code_of(program: Callable[[], None]) -> int | str | None:
    """Run a program to its end, print what went wrong, and return the exit code."""
    try:
        try:
            program()
        finally:
            _flush_stdout()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer met it
            _silence_what_is_half_made()
        return end.code
    except KeyboardInterrupt:
        _silence_what_is_half_made()
        return INTERRUPTED
    except BrokenPipeError:
        return BUG  # whoever read our output has seen enough
    except Exception as error:
        printing = (list(_modules(error)) or [""])[-1].split(".")[0] in ("rich", "typer", "click")
        if printing and isinstance(error, OSError) and not error.filename:
            error.filename = "standard output"
        return _report(error)
    return 0


def _flush_stdout() -> None:
    """Now, since a full disk or a closed pipe would show only after the last line."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except OSError as error:
        # what is still to be written would fail again when the interpreter ends
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
        error.filename = error.filename or "standard output"
        raise


def _report(error: Exception) -> int:
    if os.environ.get(TRACEBACK):
        _write_error(traceback.format_exc())
    message = message_of(error)
    if message is not None:
        _fail(message)
        return REFUSED
    summary = f"{type(error).__name__}: {error} (a bug in vip-offline)"
    try:
        path = writable_cache("tracebacks") / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        path.write_text(f"{sys.argv}\n{traceback.format_exc()}", "utf-8", "backslashreplace")
        _fail(f"{summary}. Please report it with {path}, which says where.")
    except (OSError, VipOfflineError):
        _fail(f"{summary}. `vip-offline --traceback COMMAND ...` says where.")
    return BUG


def message_of(error: BaseException) -> str | None:
    """What the user reads of an error; None if it is a bug of ours."""
    if isinstance(error, VipOfflineError):
        return str(error)
    place = about(error)
    where = f"{place}: " if place else ""
    if full := full_disk(error):
        return f"{where}no space is left ({full}).{SPACE}"
    if isinstance(error, OSError) and type(error).__module__ == "builtins" and error.strerror:
        return f"{where}{_ended(error.strerror)}{HINTS.get(error.errno or 0, '')}"
    text = _ended(" ".join(str(error).split()) or type(error).__name__)
    if isinstance(error, MemoryError) or _says_no_memory(error):
        return (
            f"{where}not enough memory ({text.rstrip('.')}). End other programs, or take less at "
            "once: fewer processes, a smaller batch."
        )
    if isinstance(error, UnicodeError):
        named = where or _not_utf8(error)
        return f"{named}a text or a name is not UTF-8 ({text.rstrip('.')}). Rename or convert it."
    if isinstance(error, ImportError) and not str(error.name).startswith("vip_offline"):
        return f"{where}{text} Install what is missing or broken by pip."
    if isinstance(error, OSError) or _from_library(error):
        subject = where or f"{_command()}: "
        return f"{subject}cannot be read or written ({type(error).__name__}: {text.rstrip('.')})."
    return None


def _not_utf8(error: UnicodeError) -> str:
    """The quoted text that could not be encoded, such as a path in JSON."""
    text = error.object if isinstance(error, UnicodeEncodeError) else ""
    line = re.search(r'[^"\n]*[\ud800-\udfff][^"\n]*', text)
    return f"{printable(line[0])}: " if line else ""


def _command() -> str:
    return " ".join(["vip-offline", *sys.argv[1:]])


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _says_no_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in NO_MEMORY)


def _from_library(error: BaseException) -> bool:
    """Whether one of the libraries that read and write files raised it."""
    modules = [type(error).__module__, *list(_modules(error))[-1:]]
    return any(
        module == library or module.startswith(f"{library}.")
        for module in modules
        for library in LIBRARIES
    )


def _modules(error: BaseException) -> Iterator[str]:
    """Of the functions that it went through, outermost first."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield str(frame.f_globals.get("__name__", ""))


def _say(text: str | Text) -> None:
    with contextlib.suppress(OSError):  # nobody reads it
        Console(stderr=True).print(text, soft_wrap=True)


def _fail(message: str) -> None:
    _say(Text.assemble(("error:", "bold red"), " ", printable(message).replace("\n", "\\n")))


def _write_error(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)


def _open_standard_streams() -> None:
    """What is closed becomes the null device: else the next file opened would be our output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without minus signs gets a ?


def _interrupt_on_sigterm() -> list[int]:
    """Let SIGTERM stop the program as ctrl-C does; the list is filled when it came."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    return came


def _silence_what_is_half_made() -> None:
    """What zarr was about to do when a signal came is left undone, and says so when collected."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    sys.unraisablehook = lambda lost: None


def _keep_interrupts(terminated: list[int]) -> None:
    """Let a signal that came while an object was collected, where errors are lost, come again."""
    report = sys.unraisablehook

    def again(lost: "sys.UnraisableHookArgs") -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            # a moment later, from a thread: at once it would be lost in this very hook
            number = signal.SIGTERM if terminated else signal.SIGINT
            timer = threading.Timer(RETRY_AFTER, os.kill, (os.getpid(), number))
            timer.daemon = True  # a program that is at its end is not waited for
            timer.start()
        else:
            report(lost)

    sys.unraisablehook = again
