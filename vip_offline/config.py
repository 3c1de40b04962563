"""Recipes: TOML files that hold what differs from the defaults of `vip_offline.options`.

Unknown tables and keys are refused with the nearest known name.
"""

import contextlib
import dataclasses
import functools
import json
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options import (
    WITHDRAWN,
    OnlineRecipe,
    PlanRecipe,
    PretrainRecipe,
    Recipe,
    TableRecipe,
)
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.utils.size_limits import HANDWRITTEN, read_description

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a TOML value may stand in a field of this annotation."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return value in typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in typing.get_args(annotation))
    if origin is tuple:
        item, *further = typing.get_args(annotation)
        return (
            isinstance(value, list | tuple)
            and all(_fits(entry, item) for entry in value)
            and (further == [...] or len(value) == 1 + len(further))
        )
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def _spelled(annotation: Any) -> str:
    """Name an annotation the way a user would: ``step or return``, ``a number or auto``."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        choices = (choice for choice in typing.get_args(annotation) if choice is not type(None))
        return " or ".join(_spelled(choice) for choice in choices)
    if origin is tuple:
        item, *further = typing.get_args(annotation)
        count = "" if further == [...] else f"{1 + len(further)} "
        return f"a list of {count}{_spelled(item).removeprefix('a ')}s"
    return {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}.get(
        annotation, str(annotation)
    )


def _table_of(annotation: Any) -> type | None:
    """The dataclass that is written as a TOML table in a field of this annotation, if one is."""
    choices = (annotation, *typing.get_args(annotation))  # of a table that may be missing
    tables = (kind for kind in choices if isinstance(kind, type) and dataclasses.is_dataclass(kind))
    return next(tables, None)


def _key_of(name: str) -> str:
    """The key of a field: ``import`` of ``import_``, since the former is a word of Python."""
    return name.removesuffix("_")


def options_from(kind: type[Options], values: Mapping[str, Any], source: str) -> Options:
    """Build one dataclass from a mapping, naming what is wrong.

    Args:
        kind: an options dataclass.
        values: field -> value; nested mappings for nested dataclasses.
        source: where the values stand, for the message (``recipes/x.toml [train]``).

    Raises:
        VipOfflineError: on an unknown key or a value of another type.
    """
    hints, withdrawn = typing.get_type_hints(kind), WITHDRAWN.get(kind, {})
    names = {_key_of(field.name): field.name for field in dataclasses.fields(kind)}
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if key in withdrawn:
            if value != withdrawn[key]:
                raise VipOfflineError(
                    f"{source}: {key} = {value!r}: is no option any more; it is "
                    f"{withdrawn[key]!r} always. Use the release that wrote this."
                )
        elif key not in names:
            tables = [
                f"[{table}]"
                for table, name in names.items()
                if dataclasses.is_dataclass(inner := _table_of(hints[name]))
                and key in map(_key_of, (field.name for field in dataclasses.fields(inner)))
            ]
            where = f" It belongs to {' or '.join(tables)}." if tables else did_you_mean(key, names)
            raise VipOfflineError(f"{source}: unknown key {key!r}.{where}")
        elif table := _table_of(hint := hints[names[key]]):
            if not isinstance(value, Mapping):
                raise VipOfflineError(f"{source}: {key} is a table; write [{key}] on its own line.")
            fields[names[key]] = options_from(table, value, f"{source} [{key}]")
        elif not _fits(value, hint):
            listed = f" Write {key} = {json.dumps([value])}." if _fits([value], hint) else ""
            raise VipOfflineError(f"{source}: {key} = {value!r} is not {_spelled(hint)}.{listed}")
        elif isinstance(value, list):
            fields[names[key]] = tuple(value)
        else:
            fields[names[key]] = value
    return kind(**fields)


def _recipe_with(table: str, kind: type[Options], path: Path) -> Options | None:
    """A recipe of a kind; None if the file has not the table that tells it."""
    values = read_toml(path)
    if table not in values:
        return None
    recipe = options_from(kind, {"name": path.stem, **values}, str(path))
    _check_tables(path, recipe)
    return recipe


def load_pretrain_recipe(path: Path) -> PretrainRecipe | None:
    """Read a recipe that trains encoders; None if the file has no [pretrain] table.

    Raises:
        VipOfflineError: see `load_recipe`.
    """
    recipe = _recipe_with("pretrain", PretrainRecipe, path)
    if recipe is None:
        return None
    if not recipe.videos and not recipe.tasks:
        raise VipOfflineError(f"{path}: names neither videos nor tasks to train on.")
    return dataclasses.replace(
        recipe,
        out=recipe.out or f"runs/{recipe.name}",
        folder=recipe.folder or f"datasets/{recipe.name}",
    )


def load_simulator_recipe(path: Path) -> PlanRecipe | OnlineRecipe | None:
    """Read a recipe that plans or learns online; None if it has neither [plan] nor [online].

    Raises:
        VipOfflineError: see `load_recipe`.
    """
    recipe = _recipe_with("plan", PlanRecipe, path) or _recipe_with("online", OnlineRecipe, path)
    if recipe is None:
        return None
    if not recipe.tasks:
        raise VipOfflineError(f"{path}: tasks is empty. Name tasks of the simulators.")
    return dataclasses.replace(recipe, out=recipe.out or f"runs/{recipe.name}")


def load_table_recipe(path: Path) -> TableRecipe | None:
    """Read a recipe of a table; None if the file has no [table].

    Raises:
        VipOfflineError: see `load_recipe`.
    """
    recipe = _recipe_with("table", TableRecipe, path)
    if recipe is None:
        return None
    return dataclasses.replace(
        recipe,
        out=recipe.out or f"runs/{recipe.name}",
        folder=recipe.folder or f"datasets/{recipe.name}",
    )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its name is the file's, unless it says another.

    Raises:
        VipOfflineError: if the file is missing, is not TOML, or holds an unknown key or a value out
            of its range.
    """
    values = read_toml(path)
    if {"record", "import"} <= values.keys():
        raise VipOfflineError(
            f"{path}: has both [record] and [import], and a recipe begins with one of them. Remove "
            "the other."
        )
    recipe = options_from(Recipe, {"name": path.stem, **values}, str(path))
    _check_tables(path, recipe)
    if recipe.import_ is not None and not recipe.import_.source:
        raise VipOfflineError(
            f"{path}: [import] has no source. Add source = with the file or folder to import, "
            "relative to the working directory."
        )
    return dataclasses.replace(
        recipe,
        store=recipe.store or f"datasets/{recipe.name}.zarr",
        out=recipe.out or f"runs/{recipe.name}",
        # the labelling that the recipe makes, whatever others the store holds
        train=dataclasses.replace(
            recipe.train,
            label=recipe.train.label or recipe.relabel.name or recipe.relabel.encoder,
            # every arm sees the same of a frame
            fit=recipe.relabel.fit if recipe.train.fit == "crop" else recipe.train.fit,
        ),
    )


@contextlib.contextmanager
def naming_keys(path: Path, recipe: type) -> Iterator[None]:
    """Within the block, an error about an option names the file and the key, not the flag.

    Raises:
        VipOfflineError: such as ``x.toml: train.tau = -1: must be at least 0.``
    """
    try:
        yield
    except OptionError as error:
        hints = typing.get_type_hints(recipe)
        tables = {_table_of(hint): _key_of(name) for name, hint in hints.items()}
        table = f"{tables[error.kind]}." if error.kind in tables else ""
        key = f"{path}: {table}{error.name} = {_literal(error.value)}"
        raise VipOfflineError(f"{key}: {error.reason}") from None


def _check_tables(path: Path, recipe: "DataclassInstance") -> None:
    tables = (getattr(recipe, field.name) for field in dataclasses.fields(recipe))
    with naming_keys(path, type(recipe)):
        for options in (recipe, *filter(dataclasses.is_dataclass, tables)):
            check_ranges(options)


def read_toml(path: Path, what: str = "recipe") -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        VipOfflineError: if it is missing, or is not TOML of at most `HANDWRITTEN` bytes.
    """
    try:
        return tomllib.loads(read_description(path, HANDWRITTEN))
    except FileNotFoundError:
        near = sorted(str(neighbour) for neighbour in path.parent.glob("*.toml"))
        hint = f" There are: {', '.join(near)}." if near else ""
        raise VipOfflineError(f"{path}: no such {what}.{hint}") from None
    except (ValueError, RecursionError, OSError) as error:  # of huge numbers and deep tables, too
        raise VipOfflineError(f"{path}: cannot be read as TOML: {error}.") from None


# bools, numbers, texts and lists of them are written alike in TOML and in JSON
_literal = functools.partial(json.dumps, ensure_ascii=False)


def dump(options: Any) -> str:
    """Write an options dataclass as TOML text that `load_recipe` reads back.

    What is None is left out, as TOML has no word for it, and so is what a recipe that begins with
    an import would record.
    """
    plain, tables = [], []
    unused = {"record"} if isinstance(options, Recipe) and options.import_ is not None else set()
    for field in dataclasses.fields(options):
        key, value = _key_of(field.name), getattr(options, field.name)
        if value is None or key in unused:
            continue
        if dataclasses.is_dataclass(value):
            tables.append(f"\n[{key}]\n{dump(value)}")
        else:
            plain.append(f"{key} = {_literal(value)}\n")
    return "".join(plain + tables)
