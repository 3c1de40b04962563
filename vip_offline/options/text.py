"""Values of options as one text on the command line, where a type is more than a plain one."""

import re
import typing
from typing import Any, Literal

from vip_offline.options.fields import Field, fields_of, no_range, range_text

Size = tuple[int, int]  # height, width
Numbers = tuple[float, ...]


def is_text(field: Field) -> bool:
    """Whether a field is given as one text that `from_text` reads: ``auto|0.1``, ``a,b``."""
    items = typing.get_args(field.annotation)
    return bool(field.option.separator) or Size in items or bool(_words(field) and _number(field))


def metavar_of(field: Field) -> str:
    """What stands for the value on the help page."""
    if Size in typing.get_args(field.annotation):
        return "<HEIGHTxWIDTH>"
    if separator := field.option.separator:
        return f"<{typing.get_args(field.annotation)[0].__name__}{separator}...>"
    number = "float" if _number(field) is float else "float,..."
    return f"<{'|'.join((*_words(field), number))}>"


def to_text(value: Any) -> str:
    """A default as it would be typed; empty for None."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def from_text(field: Field, text: str) -> Any:
    """The value of a field from its text.

    Raises:
        OptionError: if the text cannot be read.
    """
    words, items = _words(field), typing.get_args(field.annotation)
    if Size in items:
        return _size(field, text) if text else None
    if separator := field.option.separator:
        parts = text.split(separator)
        try:
            return tuple(items[0](part) for part in parts if part or items[0] is not str)
        except ValueError:
            numbers = "numbers" if items[0] is float else "whole numbers"
            raise field.error(text, f"expected {numbers}, as {metavar_of(field)}.") from None
    if text in words:
        return text
    try:
        if _number(field) is float:
            return float(text)
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        known = f"{', '.join(words[:-1])}, {words[-1]}" if len(words) > 1 else words[0]
        number = "a number" if _number(field) is float else "numbers with commas"
        raise field.error(text, f"expected {known} or {number}.") from None


def _words(field: Field) -> tuple[str, ...]:
    """All words of the `Literal` types in a union."""
    items = typing.get_args(field.annotation)
    literals = [item for item in items if typing.get_origin(item) is Literal]
    return tuple(word for literal in literals for word in typing.get_args(literal))


def _number(field: Field) -> Any:
    """The type of numbers that a union holds beside words; None: there is none."""
    return next(
        (kind for kind in (float, Numbers) if kind in typing.get_args(field.annotation)), None
    )


def _size(field: Field, text: str) -> Size:
    sizes = re.fullmatch("([0-9]+)x([0-9]+)", text)
    if sizes is None:
        raise field.error(text, "expected HEIGHTxWIDTH, e.g. 224x224.")
    return int(sizes[1]), int(sizes[2])


def markdown_table(kind: type) -> str:
    """A table of a dataclass' options: name in Python and recipes, flag, default, meaning."""
    rows = ["| name | flag | default | meaning |", "|---|---|---|---|"]
    for field in fields_of(kind):
        option = field.option
        flags = " ".join("" if option.recipe_only else f"`{flag}`" for flag in field.flags)
        value = to_text(field.default)
        default = f"`{value}` ({option.default_text})" if option.default_text else f"`{value}`"
        default = default if value else option.default_text
        limits = "" if no_range(option) else f" Range: {range_text(option)}."
        cells = (f"`{field.name}`", flags, default, f"{option}{limits}".replace("|", "\\|"))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
