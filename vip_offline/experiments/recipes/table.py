"""A table of the paper from nothing: cells in parallel processes, resumable, one table at the end.

A cell is what one encoder's rows share on one task: a labelling, its policies and their rollouts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vip_offline.analysis.closed_loop.comparison import plain
from vip_offline.analysis.closed_loop.table import TableRow, summarise_table
from vip_offline.config import dump
from vip_offline.dataset.edits.delete import delete
from vip_offline.dataset.store import open_store
from vip_offline.encoders.registry import check_encoder
from vip_offline.errors import VipOfflineError, naming
from vip_offline.experiments.comparison.compare import (
    existing_outcomes,
    roll_out_arms,
    train_recipe,
)
from vip_offline.experiments.comparison.variants import BASELINE
from vip_offline.experiments.recipes.run_recipe import check_recipe
from vip_offline.experiments.stages import record_stage, relabel_stage
from vip_offline.options import IN_DOMAIN, PretrainOptions, Recipe, TableRecipe
from vip_offline.options.table import Demonstrations, Row
from vip_offline.pretraining.check_options import check_pretrain
from vip_offline.pretraining.checkpoint import MODEL
from vip_offline.simulation.hidden_targets import check_target
from vip_offline.training.algorithms.d3rlpy_logging import withdraw_gym_notice
from vip_offline.utils.console import Bar, quiet_bar
from vip_offline.utils.files import only_writer, replace_file, require_writable, write_json
from vip_offline.utils.parallel import SidePool

TABLE_NUMBERS = "table.json"


@dataclass(frozen=True)
class Cell:
    """Rows of one task that share an encoder and the number of seeds."""

    column: Demonstrations
    recipe: Recipe  # of this cell alone
    demonstrations: Path  # the store that was recorded; `recipe.store`, or what it is a copy of
    model: Path | None  # of an encoder that is trained on them

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.column.task}, {self.recipe.name}"


def cells_of(recipe: TableRecipe) -> dict[tuple[str, str], Cell]:
    """(Row, task) -> the cell that it is in."""
    cells: dict[tuple[str, str], Cell] = {}
    for column in recipe.columns():
        groups: dict[tuple[str, str, bool], list[Row]] = {}
        for row in recipe.rows():
            key = row.encoder, row.weights, row.name in recipe.table.few
            groups.setdefault(key, []).append(row)
        for rows in groups.values():
            cell = _cell(recipe, column, rows)
            cells |= {(row.name, column.task): cell for row in rows}
    return cells


def _cell(recipe: TableRecipe, column: Demonstrations, rows: Sequence[Row]) -> Cell:
    first, task = rows[0], column.task.replace("/", "-")
    few = first.name in recipe.table.few
    name = first.encoder + (f"-{Path(first.weights).stem}" if first.weights else "")
    out = Path(recipe.out) / task
    store = demonstrations = Path(recipe.folder) / f"{task}.zarr"
    encoder, weights, model = first.encoder, first.weights, None
    if encoder == IN_DOMAIN:
        model = out / IN_DOMAIN / MODEL
        encoder, weights = recipe.in_domain.backbone, str(model)
    if weights:
        # two checkpoints of one encoder's name cannot be in one store
        store = Path(recipe.folder) / f"{task}-{name}.zarr"
    alone = recipe.table.processes > 1
    return Cell(
        column,
        Recipe(
            name=name + ("-few" if few else ""),
            store=str(store),
            out=str(out / (name + ("-few" if few else ""))),
            record=replace(
                recipe.record,
                task=column.task,
                episodes=column.successes + column.failures,
                failures=column.failures,
            ),
            relabel=replace(recipe.relabel, encoder=encoder, weights=weights),
            train=replace(recipe.train, label=recipe.relabel.name or encoder),
            rollout=replace(
                recipe.rollout, videos=0, processes=1 if alone else recipe.rollout.processes
            ),
            compare=replace(
                recipe.compare,
                arms=tuple(dict.fromkeys((BASELINE, *(row.variant for row in rows)))),
                seeds=recipe.table.few_seeds if few else recipe.compare.seeds,
                processes=1 if alone else recipe.compare.processes,
            ),
        ),
        demonstrations,
        model,
    )


def check_table(recipe: TableRecipe) -> None:
    """Refuse a table of which a cell would fail, before its first begins.

    Raises:
        VipOfflineError: naming the rows or tasks that are lost, and all encoders that are missing.
    """
    rows = recipe.rows()
    if not rows or not recipe.tasks:
        raise VipOfflineError("a table needs table.rows and tasks. Name at least one of each.")
    lost: list[str] = []
    for row in rows:
        try:
            if row.encoder == IN_DOMAIN:
                check_pretrain(recipe.in_domain)
            else:
                check_encoder(row.encoder, row.weights)
        except VipOfflineError as error:
            lost.append(f"{row.name}: {error}")
    if lost:
        listed = "".join(f"\n  {reason}" for reason in lost)
        raise VipOfflineError(
            f"{len(lost)} of {len(rows)} rows cannot be made, so nothing was begun:{listed}\n"
            "Bring these encoders, or remove the rows."
        )
    for column in recipe.columns():
        check_target(column.task, recipe.record.hidden_goal)
    for cell in dict.fromkeys(cells_of(recipe).values()):
        checked = cell.recipe
        if cell.model is not None:  # the checkpoint is made on the way
            checked = replace(checked, relabel=replace(recipe.relabel, encoder="pixels"))
        check_recipe(checked)


def run_table(recipe: TableRecipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    """Make all cells that are not made yet, and the table.

    Returns:
        The table in numbers; also written to the recipe's `out`, with the resolved recipe.

    Raises:
        VipOfflineError: see `check_table`, and of a folder that holds another table.
    """
    check_table(recipe)
    out = Path(recipe.out)
    require_writable(out)
    out.mkdir(parents=True, exist_ok=True)
    with naming(out), only_writer(out):
        _check_same_table(recipe, out)
        cells = list(dict.fromkeys(cells_of(recipe).values()))
        processes = recipe.table.processes
        demonstrations = {cell.demonstrations: cell for cell in cells}
        with bar("record", len(demonstrations), "task") as advance:
            for path, cell in demonstrations.items():
                record_stage(replace(cell.recipe, store=str(path)), quiet_bar, processes)
                advance(1)
        # before any is labelled: no copy is made of a store that is being written to
        for cell in cells:
            if cell.recipe.store != str(cell.demonstrations):
                copy_demonstrations(cell.demonstrations, Path(cell.recipe.store))
        # of one store one process at a time; those of one task wait for each other, others do not
        stores = [[c for c in cells if c.recipe.store == s] for s in _stores(cells)]
        make = partial(prepare, in_domain=recipe.in_domain)
        with SidePool(min(processes, len(cells)), withdraw_gym_notice) as pool:
            with bar("relabel", len(cells), "cell") as advance:
                for count in pool.map(make, stores):
                    advance(count)
            with bar("train and roll out", len(cells), "cell") as advance:
                for name in pool.map(train_and_roll_out, cells):
                    say(f"done: {name}")
                    advance(1)
        numbers: dict[str, Any] = plain(summarise_table(recipe.name, gathered(recipe)))
        write_json(numbers, out / TABLE_NUMBERS)
    return numbers


def _stores(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.recipe.store for cell in cells))


def _check_same_table(recipe: TableRecipe, out: Path) -> None:
    """Refuse a folder of another table; what may change is how many cells run at a time."""
    path, resolved = out / "recipe.toml", dump(_without_speed(recipe))
    if path.exists() and path.read_text(encoding="utf-8") != resolved:
        raise VipOfflineError(
            f"{path}: is of another table than this recipe. Choose another `out`, or remove the "
            "folder to begin anew."
        )
    replace_file(path, resolved.encode())


def _without_speed(recipe: TableRecipe) -> TableRecipe:
    return replace(recipe, table=replace(recipe.table, processes=1))


def copy_demonstrations(demonstrations: Path, store: Path) -> None:
    """Give an encoder a store of its own: the demonstrations, and nothing made of them."""
    if store.exists():
        return
    partial_copy = store.with_name(f".{store.name}.partial")
    shutil.rmtree(partial_copy, ignore_errors=True)
    shutil.copytree(demonstrations, partial_copy)
    copied = open_store(partial_copy)
    embedded = [name for name in copied.encoders if copied.keys(f"embeddings/{name}")]
    if embedded:
        delete(partial_copy, copied.label_names, embedded)
    partial_copy.rename(store)


def prepare(cells: Sequence[Cell], in_domain: PretrainOptions) -> int:
    """Train the encoders that these cells need and label their store; how many cells that was."""
    for cell in cells:
        if cell.model is not None and not cell.model.exists():
            from vip_offline.pretraining.run import pretrain_stage

            # no video is held out: nothing is chosen by them
            options = replace(in_domain, hold_out=0.0)
            pretrain_stage(
                [cell.demonstrations], options, cell.model.parent, quiet_bar, lambda line: None
            )
        relabel_stage(cell.recipe, quiet_bar, lambda line: None)
    return len(cells)


def train_and_roll_out(cell: Cell) -> str:
    """Train and roll out the policies of a cell that are not there; its name."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    out = Path(cell.recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    with naming(out), only_writer(out):
        train_recipe(cell.recipe, quiet_bar, lambda line: None)
        roll_out_arms(cell.recipe, quiet_bar)
    return cell.name


def gathered(recipe: TableRecipe) -> list[TableRow]:
    """The outcomes of all rows on all tasks.

    Raises:
        VipOfflineError: if some are missing.
    """
    cells = cells_of(recipe)
    return [
        TableRow(
            row.name,
            row.encoder,
            row.variant,
            {
                column.task: existing_outcomes(cells[row.name, column.task].recipe, row.variant)
                for column in recipe.columns()
            },
        )
        for row in recipe.rows()
    ]
