"""What a field of an options dataclass says about itself: help, source, range, flags.

A field is written once, as ``gamma: Annotated[float, Option("Discount factor.", gt=0, le=1)] =
0.98``. The command line, recipes, range errors and the table of options are made from it.
"""

import dataclasses
import math
import typing
from collections.abc import Callable, Iterator
from typing import Any

from vip_offline.errors import VipOfflineError


@dataclasses.dataclass(frozen=True)
class Option:
    """Metadata of one field.

    Attributes:
        help: full sentences that stand alone.
        source: equation, table or section of the paper.
        ge, gt, le, lt: limits of a number, or of each number of a tuple.
        flags: on the command line; empty: made from the field's name, with ``--no-`` for a bool.
        separator: between the items of a tuple that is given as one text; empty: the flag is
            repeated.
        default_text: what the default stands for, where its value does not say it.
        recipe_only: not on the command line; the reason is in a comment.
    """

    help: str
    source: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    flags: tuple[str, ...] = ()
    separator: str = ""
    default_text: str = ""
    recipe_only: bool = False

    def __str__(self) -> str:
        return f"{self.help} ({self.source})" if self.source else self.help


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of an options dataclass, with its type freed from `Annotated`."""

    kind: type
    name: str
    annotation: Any
    default: Any
    option: Option

    @property
    def flags(self) -> tuple[str, ...]:
        """Spelling on the command line, the main one first; without one, the name."""
        if self.option.recipe_only:
            return (self.name,)
        return self.option.flags or (f"--{self.name.replace('_', '-')}",)

    def error(self, value: object, reason: str) -> "OptionError":
        """An error about a value of this field."""
        return OptionError(self.kind, self.name, value, reason)


class OptionError(VipOfflineError):
    """A value that an option cannot have; the message names the option by its flag.

    Args:
        kind: the options dataclass.
        name: of the field.
        value: that was given.
        reason: what it must be; begins in lower case and ends in a full stop.
    """

    def __init__(self, kind: type, name: str, value: object, reason: str) -> None:
        self.kind, self.name, self.value, self.reason = kind, name, value, reason
        (field,) = (field for field in fields_of(kind) if field.name == name)
        super().__init__(f"{field.flags[0]} {_text(value)}: {reason}")

    def renamed(self, flag: str) -> VipOfflineError:
        """The same error under another flag."""
        return VipOfflineError(f"{flag} {_text(self.value)}: {self.reason}")


def fields_of(kind: type) -> Iterator[Field]:
    """Fields of an options dataclass, in order, without the tables nested in it."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        annotation, *metadata = typing.get_args(hints[field.name]) or (hints[field.name],)
        for option in metadata:
            if isinstance(option, Option):
                default: Any = field.default
                if field.default_factory is not dataclasses.MISSING:
                    default = field.default_factory()
                yield Field(kind, field.name, annotation, default, option)


_LIMITS: tuple[tuple[str, Callable[[float, float], bool], str], ...] = (
    ("ge", lambda value, limit: value >= limit, "at least"),
    ("gt", lambda value, limit: value > limit, "above"),
    ("le", lambda value, limit: value <= limit, "at most"),
    ("lt", lambda value, limit: value < limit, "below"),
)


def check_ranges(options: Any) -> None:
    """Refuse numbers outside the ranges of their fields.

    Raises:
        OptionError: naming the option, its value and its range.
    """
    for field in fields_of(type(options)):
        value = getattr(options, field.name)
        numbers = [
            number
            for number in (value if isinstance(value, tuple) else (value,))
            if isinstance(number, int | float) and not isinstance(number, bool)
        ]
        if not all(_allows(field.option, number) for number in numbers):
            raise field.error(value, f"must be {range_text(field.option)}.")


def _allows(option: Option, number: float) -> bool:
    limits = ((getattr(option, name), holds) for name, holds, _ in _LIMITS)
    return math.isfinite(number) and all(
        holds(number, limit) for limit, holds in limits if limit is not None
    )


def range_text(option: Option) -> str:
    """The range of an option in words, such as ``above 0 and at most 1``."""
    limits = ((getattr(option, name), words) for name, _, words in _LIMITS)
    parts = [f"{words} {limit:.16g}" for limit, words in limits if limit is not None]
    return " and ".join(parts) or "a finite number"


def no_range(option: Option) -> bool:
    """Whether every number is allowed."""
    return all(getattr(option, name) is None for name, _, _ in _LIMITS)


def _text(value: object) -> str:
    """A value as it would be typed on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
