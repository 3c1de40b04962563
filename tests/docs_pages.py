"""The documentation as a reader meets it: pages, their blocks of code, and what runs them."""

import contextlib
import itertools
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from in_process import invoke
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
# pages for people beside the code: their links and commands are checked, too
OTHERS = tuple(
    ROOT / name
    for name in (
        "CONTRIBUTING.md",
        "datasets/README.md",
        "recipes/robot/README.md",
        "vip_offline/encoders/weights/README.md",
    )
)
RUN = ("sh", "python")
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
# options behind those of the page, the last of which count: everything runs, on next to nothing
SMALLER = {
    "train": "--steps 20 --processes 1",
    "train --seeds": "--seeds 1",
    "compare": "--steps 20 --seeds 2 --placements 2 --horizon 8 --environments 4 --processes 1 "
    "--videos 1 --arms bc,rwr-outcome",
    "record": "--episodes 4 --failures 1 --image-size 64 --max-steps 20",
    "rollout": "--placements 2 --horizon 8 --environments 4 --processes 1 --videos 1",
    "online": "--steps 8 --samples 8 --sac-samples 8 --horizon 4 --image-size 32 --placements 2 "
    "--warm-up 1 --videos 1 --processes 1 --environments 4 --expert-goals 1 --sac-batch-size 4",
    "plan": "--steps 2 --seeds 1 --sequences 3 --horizon 2 --image-size 32 --processes 1",
    "pretrain": "--steps 2 --batch-size 4 --readers 1",
}


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: Path
    line: int
    language: str
    code: str
    not_run: str  # why; "": it is run

    def __str__(self) -> str:
        return f"{os.path.relpath(self.page, ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    previous, listed = "", list[Block]()
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence":
            reason = NOT_RUN.fullmatch(previous.strip())
            line = (token.map or [0])[0] + 1
            why = reason[1] if reason else ""
            listed.append(Block(page, line, token.info, token.content, why))
        previous = token.content if token.type == "html_block" else ""
    return listed


def commands(code: str) -> list[str]:
    """Commands of a block of shell: a line each, but for what ``<<'END'`` holds together."""
    listed, end = list[str](), ""
    for line in code.splitlines():
        if end:
            listed[-1] += f"\n{line}"
            end = "" if line == end else end
        elif line.strip():
            listed.append(line)
            here = re.search(r"<<'(\w+)'", line)
            end = here[1] if here else ""
    return listed


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def smaller(words: list[str]) -> list[str]:
    """What makes a command quick."""
    options = [SMALLER[name] for name in SMALLER if {*name.split()} <= {*words}]
    return " ".join(options).split()


@dataclass
class Reader:
    """Somebody who types a page's blocks in a folder, in one terminal and one Python."""

    folder: Path
    namespace: dict[str, Any] = field(default_factory=dict)
    servers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    port: int = 0  # of the policy's server, where the pages say 8000

    def type(self, block: Block) -> None:
        if block.language == "python":
            code = block.code.replace("8000", str(self.port))
            with contextlib.chdir(self.folder):
                exec(compile(code, str(block), "exec"), self.namespace)
            return
        for command in commands(block.code):
            self._enter(command, block)

    def _enter(self, command: str, block: Block) -> None:
        words = shlex.split(command, comments=True)
        if words[:1] != ["vip-offline"]:
            if any("franka_loop.py" in word for word in words):
                command = f"{shlex.join(words)} --server 127.0.0.1:{self.port} --steps 4"
            elif any("example_clip.py" in word for word in words):
                command = f"{shlex.join(words)} --seconds 2"
            self._run(["bash", "-euo", "pipefail", "-c", command], block)
        elif words[-1] == "&":
            self._serve(words[1:-1])
        else:
            ended = invoke(*words[1:], *smaller(words[1:]), cwd=self.folder)
            assert ended.code in (None, 0), f"{block}: {command}\n{ended.stdout}{ended.stderr}"

    def _run(self, command: list[str], block: Block) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}: {command[-1]}\n{done.stdout}{done.stderr}"

    def _serve(self, arguments: list[str]) -> None:
        port = free_port()
        log = self.folder / f"server-{port}.txt"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "vip_offline", *arguments, "--port", str(port)],
                cwd=self.folder,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.servers.callback(process.wait)
        self.servers.callback(process.terminate)
        if arguments[0] == "serve":
            self.port = port
        deadline = time.monotonic() + 120
        while "serving ws://" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def environment() -> dict[str, str]:
    """That of a terminal in which this package is installed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    modules = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PATH": path, "PYTHONPATH": modules}


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    reader = Reader(folder)
    with reader.servers:
        yield reader


def headings(page: Path) -> set[str]:
    """Anchors of a page, as GitHub and Python-Markdown make them of headings."""
    anchors, taken = set[str](), dict[str, int]()
    tokens = MarkdownIt().parse(page.read_text())
    for token, content in itertools.pairwise(tokens):
        if token.type == "heading_open":
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", content.content).replace("`", "")
            slug = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())
            taken[slug] = taken.get(slug, -1) + 1
            anchors.add(slug + (f"_{taken[slug]}" if taken[slug] else ""))
    return anchors


def links(page: Path) -> list[str]:
    """Relative links and pictures of a page."""
    listed = list[str]()
    for token in MarkdownIt().parse(page.read_text()):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target and not re.match(r"\w+:", str(target)):
                listed.append(str(target))
    return listed
