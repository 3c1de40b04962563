"""Cards of data sets: where each comes from, under which licence, and how it is had.

One TOML file per data set under ``cards/``; its name is the data set's. Places are relative to the
folder in which the program runs; ``{folder}``, ``{source}`` and ``{store}`` in texts stand for the
card's own.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vip_offline.errors import VipOfflineError, did_you_mean

CARDS = Path(__file__).parent / "cards"

CardState = Literal["store", "fetched", "record", "fetch", "by hand"]


@dataclass(frozen=True)
class Fetch:
    """How a data set is had; one of `url`, `command` and `steps` is given."""

    url: str = ""  # of its one file
    sha256: str = ""  # if the publisher states it
    command: tuple[str, ...] = ()  # that gets it, or makes it
    environment: Mapping[str, str] = field(default_factory=dict)  # of the command
    resumes: bool = True  # whether the command goes on with what it left; else it starts afresh
    install: str = ""  # what brings the command
    steps: tuple[str, ...] = ()  # for a person, where no program may or can


@dataclass(frozen=True)
class Card:
    """One data set."""

    name: str
    title: str
    origin: str  # page that describes it
    licence: str
    size: str  # of what is downloaded
    episodes: str
    pictures: str  # size of a frame
    contents: str
    shapes: Mapping[str, str]  # column -> shape of an episode, dtype
    store: Path  # where it is imported to
    fetch: Fetch
    folder: Path | None = None  # where it is downloaded to; None: it goes into the store at once
    inside: str = ""  # what of the folder is imported; empty: the folder itself
    proof: str = ""  # what is in the folder once it is fetched; empty: `inside`
    command: tuple[str, ...] = ()  # that imports it
    licence_note: str = ""
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> Path | None:
        """What is imported."""
        return self.folder / self.inside if self.folder else None

    @property
    def fetched(self) -> bool:
        """Whether it was downloaded, or put in its place by hand."""
        if self.folder is None:
            return False
        proof = self.proof or self.inside
        if proof:
            return (self.folder / proof).exists()
        return self.folder.is_dir() and any(self.folder.iterdir())

    @property
    def state(self) -> CardState:
        """What there is of it here, or else how it is had."""
        if (self.store / "zarr.json").exists():
            return "store"
        if self.fetched:
            return "fetched"
        if self.fetch.steps:
            return "by hand"
        return "fetch" if self.folder else "record"

    def filled(self, text: str) -> str:
        """A text with the card's own places in it."""
        return text.format(folder=self.folder, source=self.source, store=self.store)


def cards() -> dict[str, Card]:
    """All cards by name, sorted."""
    return {path.stem: _read(path) for path in sorted(CARDS.glob("*.toml"))}


def card(name: str) -> Card:
    """The card of this name.

    Raises:
        VipOfflineError: if there is none.
    """
    every = cards()
    if name not in every:
        raise VipOfflineError(
            f"{name}: there is no such data set.{did_you_mean(name, every)} `vip-offline datasets` "
            "lists them."
        )
    return every[name]


def _read(path: Path) -> Card:
    content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    fetch = content.pop("fetch")
    for key in ("command", "steps"):
        fetch[key] = tuple(fetch.get(key, ()))
    folder = content.pop("folder", None)
    return Card(
        name=path.stem,
        fetch=Fetch(**fetch),
        folder=Path(folder) if folder else None,
        store=Path(content.pop("store")),
        command=tuple(content.pop("import", ())),
        notes=tuple(content.pop("notes", ())),
        **content,
    )
