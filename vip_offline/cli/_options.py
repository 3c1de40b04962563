"""Typer options from options dataclasses: one per field, and the dataclass back.

@app.command()
@with_options
def relabel(store: StoreArgument = None, *, options: RelabelOptions) -> None: ...
"""

import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vip_offline.options.fields import Field, OptionError, check_ranges
from vip_offline.options.part import Part
from vip_offline.options.text import from_text, is_text, metavar_of, to_text
from vip_offline.utils.path_arguments import named

CommandFunction = Callable[..., None]


def with_options(command: CommandFunction) -> CommandFunction:
    """Replace each parameter that is an options dataclass by one option per field.

    A value out of its range is an error that names the flag.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, Mapping[str, Any], dict[str, Field]]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind, *metadata = typing.get_args(parameter.annotation) or (parameter.annotation,)
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        (part,) = metadata or (Part(),)
        fields = part.fields(kind)
        groups[parameter.name] = kind, part.defaults, fields
        parameters += [_parameter(name, field) for name, field in fields.items()]

    @functools.wraps(command)
    def flat(**values: Any) -> None:
        for group, (kind, defaults, fields) in groups.items():
            typed = {f.name: _value(f, values.pop(name)) for name, f in fields.items()}
            values[group] = options = kind(**{**defaults, **typed})
            try:
                check_ranges(options)
            except OptionError as error:
                flags = {field.name: _typed(field) for field in fields.values()}
                raise error.renamed(flags[error.name]) from None
        command(**values)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _typed(field: Field) -> str:
    """Which of an option's flags stands on the command line; else the main one."""
    words = {word.partition("=")[0] for word in sys.argv}
    return next((flag for flag in field.flags if flag in words), field.flags[0])


def _parameter(name: str, field: Field) -> inspect.Parameter:
    """What typer makes an option of; types that it does not know are text to it."""
    annotation, default, flags, metavar = field.annotation, field.default, field.flags, None
    if annotation is bool and not field.option.flags:
        flags = (f"{flags[0]}/--no-{flags[0].removeprefix('--')}",)
    elif is_text(field):
        annotation, default, metavar = str, to_text(default), metavar_of(field)
    elif typing.get_origin(annotation) is tuple:
        annotation, default, metavar = list[str], list(default), "<str>"
    shown = field.option.default_text or not (default in ("", None, []) or default is False)
    info = typer.Option(*flags, help=str(field.option), metavar=metavar, show_default=shown)
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=Annotated[annotation, info])


def _value(field: Field, value: Any) -> Any:
    """The value of a field from what typer gives."""
    if is_text(field):
        return from_text(field, value)
    if isinstance(value, Path):
        return named(value)
    return tuple(value) if isinstance(value, list) else value
