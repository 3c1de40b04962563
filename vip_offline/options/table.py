"""Options of a table: rows of encoders and variants, columns of tasks, on the same placements."""

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from vip_offline.errors import VipOfflineError
from vip_offline.options.data import RecordOptions
from vip_offline.options.fields import Option
from vip_offline.options.policy import CompareOptions, RolloutOptions, TrainOptions
from vip_offline.options.pretrain import PretrainOptions
from vip_offline.options.reward import RelabelOptions

IN_DOMAIN = "in-domain"  # in place of an encoder: one trained on the task's own demonstrations
_RecipeOption = partial(Option, recipe_only=True)


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    name: str
    encoder: str  # `IN_DOMAIN`, or a name
    weights: str  # checkpoint file; "": the encoder's own
    variant: str


@dataclass(frozen=True)
class Demonstrations:
    """A column of a table: a task and what is recorded of it."""

    task: str
    successes: int
    failures: int


@dataclass(frozen=True)
class TableOptions:
    """What a table shows, and how much of the machine it takes."""

    rows: Annotated[
        tuple[str, ...],
        _RecipeOption(
            "Rows: NAME=ENCODER/VARIANT, or NAME=ENCODER:FILE/VARIANT with a checkpoint. The "
            "encoder in-domain is trained on the demonstrations of each task, by [in_domain].",
            "Table 1",
        ),
    ] = ()
    few: Annotated[
        tuple[str, ...], _RecipeOption("Names of costly rows, which have `few_seeds` seeds.")
    ] = ()
    few_seeds: Annotated[int, _RecipeOption("Number of policies of such a row.", ge=1)] = 2
    processes: Annotated[int, _RecipeOption("Number of cells at a time, one core each.", ge=1)] = 2


@dataclass(frozen=True)
class TableRecipe:
    """Policies on several encoders and tasks: record, relabel, train, roll out, one table."""

    table: TableOptions = field(default_factory=TableOptions)
    name: Annotated[str, _RecipeOption("Name of the recipe.", default_text="that of the file")] = (
        "recipe"
    )
    out: Annotated[str, _RecipeOption("Folder of the runs.", default_text="runs/NAME")] = ""
    folder: Annotated[
        str, _RecipeOption("Folder of the recordings.", default_text="datasets/NAME")
    ] = ""
    tasks: Annotated[
        tuple[str, ...],
        _RecipeOption("Columns: TASK=SUCCESSES+FAILURES, the demonstrations of each."),
    ] = ()
    record: RecordOptions = field(default_factory=RecordOptions)
    relabel: RelabelOptions = field(default_factory=RelabelOptions)
    in_domain: PretrainOptions = field(default_factory=PretrainOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    rollout: RolloutOptions = field(default_factory=RolloutOptions)
    compare: CompareOptions = field(default_factory=CompareOptions)

    def rows(self) -> list[Row]:
        """Rows in order.

        Raises:
            VipOfflineError: on a text that is no row, a name twice, or a costly row that is none.
        """
        rows = [_row(text) for text in self.table.rows]
        names = [row.name for row in rows]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise VipOfflineError(f"table.rows: {twice[0]!r} is there twice. Rename one.")
        if unknown := [name for name in self.table.few if name not in names]:
            raise VipOfflineError(f"table.few: {unknown[0]!r} is no row; rows are {names}.")
        return rows

    def columns(self) -> list[Demonstrations]:
        """Columns in order.

        Raises:
            VipOfflineError: on a text that is no column, or a task twice.
        """
        columns = [_column(text) for text in self.tasks]
        tasks = [column.task for column in columns]
        if twice := sorted({task for task in tasks if tasks.count(task) > 1}):
            raise VipOfflineError(f"tasks: {twice[0]} is there twice. Name it once.")
        return columns


def _row(text: str) -> Row:
    name, equals, rest = text.partition("=")
    left, slash, variant = rest.rpartition("/")
    encoder, _, weights = left.partition(":")
    if not (name and equals and encoder and slash and variant):
        raise VipOfflineError(
            f"table.rows: {text!r} is not NAME=ENCODER/VARIANT, such as "
            "'VIP-RWR=vip-mini/rwr-return'."
        )
    return Row(name.strip(), encoder.strip(), weights, variant.strip())


def _column(text: str) -> Demonstrations:
    task, _, numbers = text.partition("=")
    successes, plus, failures = numbers.partition("+")
    if not (task and plus and successes.strip().isdigit() and failures.strip().isdigit()):
        raise VipOfflineError(
            f"tasks: {text!r} is not TASK=SUCCESSES+FAILURES, such as 'drawer-close=10+20'."
        )
    if not int(successes):
        raise VipOfflineError(f"tasks: {text!r} has no success, and goals are made of successes.")
    return Demonstrations(task.strip(), int(successes), int(failures))
