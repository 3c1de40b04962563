"""Gets a data set to where its card says: by HTTP, or by the publisher's own program."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from vip_offline.dataset.catalog.card import Card
from vip_offline.errors import VipOfflineError
from vip_offline.utils.download import Progress, download_file

PROGRAM = "vip-offline"


def fetch_dataset(
    card: Card,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Get a data set unless it is there; started again, go on where it broke off.

    Returns:
        What there is now: the download, or the store.

    Raises:
        VipOfflineError: if it must be had by hand, the command is missing or failed, there is no
            network, or what came is not what the card promises.
    """
    if _stored(card):
        return card.store
    if card.fetched and card.source is not None:
        return card.source
    if card.fetch.steps:
        steps = "".join(
            f"\n  {number}. {card.filled(step)}" for number, step in enumerate(card.fetch.steps, 1)
        )
        raise VipOfflineError(f"{card.name}: cannot be fetched by a program.{steps}")
    if card.folder is None:
        _run(card, card.folder, say)
        if not _stored(card):
            raise VipOfflineError(
                f"{card.name}: the command ended well, but {card.store} is not there."
            )
        return card.store
    if card.fetch.url:
        assert card.source is not None
        download_file(
            card.fetch.url,
            card.source,
            what=card.name,
            otherwise=f"download the file elsewhere and put it at {card.source}",
            sha256=card.fetch.sha256,
            progress=progress,
        )
        return card.source
    return _by_command(card, card.folder, say)


def _stored(card: Card) -> bool:
    return card.state == "store"


def _by_command(card: Card, folder: Path, say: Callable[[str], None]) -> Path:
    """Run a publisher's program into a folder beside; it gets its name when it is whole."""
    partial = folder.with_name(f"{folder.name}.part")
    if not card.fetch.resumes:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    _run(card, partial, say)
    proof = card.proof or card.inside
    if not (partial / proof).exists():
        raise VipOfflineError(
            f"{card.name}: the command ended well, but {partial / proof} is not there. See what "
            f"{card.origin} says."
        )
    if folder.exists():
        raise VipOfflineError(
            f"{folder}: is in the way, without {proof} in it. Move it away and run this again."
        )
    partial.rename(folder)
    assert card.source is not None
    return card.source


def _run(card: Card, folder: Path | None, say: Callable[[str], None]) -> None:
    def filled(text: str) -> str:
        place = folder.absolute() if folder else ""
        return text.format(folder=place, store=card.store)

    command = [filled(part) for part in card.fetch.command]
    environment = {key: filled(value) for key, value in card.fetch.environment.items()}
    say(" ".join([*(f"{k}={shlex.quote(v)}" for k, v in environment.items()), shlex.join(command)]))
    result = subprocess.run(
        [*_program(card, command[0]), *command[1:]], env=os.environ | environment, check=False
    )
    if result.returncode:
        raise VipOfflineError(
            f"{card.name}: {command[0]} ended with exit code {result.returncode}; what it says "
            "stands above. Run this again to go on."
        )


def _program(card: Card, name: str) -> list[str]:
    """A program of this environment, which need not be active, or of the system."""
    if name == PROGRAM:
        return [sys.executable, "-m", "vip_offline"]
    executable = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if executable is None:
        raise VipOfflineError(
            f"{card.name}: is fetched by {name}, which is not installed. {card.fetch.install}"
        )
    return [executable]
