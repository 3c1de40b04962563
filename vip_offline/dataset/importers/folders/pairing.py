"""Parses file names: episode numbers, camera names, series of pictures."""

import re
from collections import defaultdict
from collections.abc import Sequence

TOKEN = re.compile(r"[^\W\d_]+|\d+")
CAMERA = re.compile(
    r".*cam(era)?s?|.*views?|rgb.*|colou?r|imag(e|es)|imgs?|left|right|front.*|wrist.*|top|side"
    r"|overhead|hand|gripper|third|ego|head|base",
    re.IGNORECASE,
)
EPISODE = re.compile(
    r"ep|eps|episodes?|demos?|traj|trajectory|rollout|trial|take|run|clip", re.IGNORECASE
)
KIND_WORD = re.compile(
    r"videos?|mp4s?|pictures?|frames?|actions?|states?|robot|logs?|data|tables?|csvs?|npzs?"
    r"|joints?|proprio|obs|observations?",
    re.IGNORECASE,
)
SET = re.compile(
    r"train(ing)?|val|valid|validation|test|eval|success(es)?|successful|fail(ed|s|ure|ures)?"
    r"|good|bad",
    re.IGNORECASE,
)


def _pieces(name: str) -> list[tuple[str, bool]]:
    """Words and numbers of a name, each with whether it is a number of the episode's."""
    tokens = TOKEN.findall(name)
    before = ["", *tokens]
    return [
        (token, token.isdigit() and not CAMERA.fullmatch(last))
        for last, token in zip(before, tokens, strict=False)
    ]


def key(name: str) -> tuple[int, ...]:
    """The numbers in a name but a camera's: ``ep_007_cam1`` -> (7,)."""
    return tuple(int(token) for token, counts in _pieces(name) if counts)


def numbers(name: str) -> tuple[int, ...]:
    """All numbers in a name."""
    return tuple(int(token) for token in TOKEN.findall(name) if token.isdigit())


def plain(name: str) -> str:
    """In small letters, and with no number padded: ``Ep_007`` -> ``ep_7``."""
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), name.lower())


def words(name: str) -> set[str]:
    """The words in a name, in small letters."""
    return {token.lower() for token in TOKEN.findall(name) if not token.isdigit()}


def alike(names: Sequence[str]) -> tuple[str, str] | None:
    """Two of the names that differ only in a number that is no camera's; None if there are none."""
    known: dict[tuple[str, ...], str] = {}
    for name in names:
        pattern = tuple("#" if counts else token.lower() for token, counts in _pieces(name))
        other = known.setdefault(pattern, name)
        if key(other) != key(name):
            return other, name
    return None


def is_camera(name: str) -> bool:
    """Whether a name says that a camera is meant."""
    return any(CAMERA.fullmatch(word) for word in words(name))


def is_kind(name: str) -> bool:
    """Whether a folder's name says what is in it, a camera or a kind of file."""
    return is_camera(name) or any(KIND_WORD.fullmatch(word) for word in words(name))


def is_episode(name: str) -> bool:
    """Whether a name says that an episode is meant: ``ep_3``, ``demo-0``."""
    return bool(key(name)) and any(EPISODE.fullmatch(word) for word in words(name))


def are_episodes(outer: Sequence[str], inner: Sequence[str]) -> bool:
    """Whether videos, folders of pictures or tables are episodes, and no cameras of one.

    They are called `inner`; `outer` is the folder they lie in, and those above, below the origin.
    """
    if not inner or any(is_camera(name) and not is_episode(name) for name in inner):
        return False
    if any(is_episode(name) for name in outer):
        return bool(alike(inner)) and all(is_episode(name) for name in inner)
    if alike(inner) or all(is_episode(name) for name in inner):
        return True
    return len({*inner}) > 1 and any(SET.fullmatch(word) for word in words(outer[-1]))


def episode_numbers(media: Sequence[str], tables: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Name -> the number of its episode, which tables tell from a camera's."""
    number_of = {name: key(name) or numbers(name) for name in tables}
    known = {*number_of.values()}
    for name in media:
        own = key(name)
        number_of[name] = numbers(name) if own not in known and numbers(name) in known else own
    return number_of


def label(name: str, common: set[str], number: tuple[int, ...] | None = None) -> str:
    """What a name says beyond the words that all have: ``ep_0_cam1_rgb`` -> ``cam1_rgb``.

    The episode's number is by default as `key` says.
    """
    text, own = "", number is None or key(name) == number
    for token, counts in _pieces(name):
        if token.isdigit():
            text += token if own and not counts else ""
        elif token.lower() not in common:
            text += f"_{token}" if text else token
    return text


def episode_name(names: Sequence[str], common: set[str], number: tuple[int, ...]) -> str:
    """The name of the episode whose parts bear some names."""
    if len({*names}) == 1:
        return names[0]
    left = list(number)
    pieces = []
    for token in TOKEN.findall(names[0]):
        if token.lower() in common:
            pieces.append(token)
        elif token.isdigit() and left and int(token) == left[0]:
            pieces.append(token)
            left.pop(0)
    return "_".join(pieces)


def series(stems: Sequence[str]) -> dict[str, list[str]]:
    """Names of pictures by the words in them: ``left_000``, ``right_000`` are two series."""
    names_of: dict[str, list[str]] = defaultdict(list)
    for stem in stems:
        names_of[series_of(stem)].append(stem)
    return names_of


def series_of(stem: str) -> str:
    """The words in the name of a picture."""
    return "_".join(token for token in TOKEN.findall(stem) if not token.isdigit())


def episode_in(stem: str) -> str:
    """The number of an episode that a picture's name begins with: ``ep0_frame000`` -> "0"."""
    tokens = TOKEN.findall(stem)
    if len(tokens) > 2 and EPISODE.fullmatch(tokens[0]) and tokens[1].isdigit():
        return str(tokens[1]) if any(token.isdigit() for token in tokens[2:]) else ""
    return ""
