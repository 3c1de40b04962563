import dataclasses

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.options import TableOptions, TableRecipe
from vip_offline.options.table import Demonstrations, Row


def recipe(*rows: str, few: tuple[str, ...] = (), tasks: tuple[str, ...] = ()) -> TableRecipe:
    return TableRecipe(TableOptions(rows, few), tasks=tasks)


def test_rows_and_columns_are_read_from_their_texts() -> None:
    rows = recipe(
        "VIP-RWR=vip:weights/v1.pt/rwr-return@ess=0.2", "in-domain BC = in-domain/bc"
    ).rows()
    assert rows == [
        Row("VIP-RWR", "vip", "weights/v1.pt", "rwr-return@ess=0.2"),
        Row("in-domain BC", "in-domain", "", "bc"),
    ]
    columns = recipe("a=lite0/bc", tasks=("push=6+0", "ogbench/cube-move=10+20")).columns()
    assert columns == [Demonstrations("push", 6, 0), Demonstrations("ogbench/cube-move", 10, 20)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("lite0/bc",), "'lite0/bc' is not NAME=ENCODER/VARIANT"),
        (("a=lite0",), "'a=lite0' is not"),
        (("a=/bc",), "'a=/bc' is not"),
        (("a=lite0/bc", "a=pixels/bc"), "'a' is there twice"),
    ],
)
def test_what_is_no_row_is_refused(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(VipOfflineError, match=message):
        recipe(*rows).rows()


def test_costly_rows_are_rows() -> None:
    with pytest.raises(VipOfflineError, match=r"table.few: 'b' is no row; rows are \['a'\]"):
        recipe("a=lite0/bc", few=("b",)).rows()


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (("push",), "'push' is not TASK=SUCCESSES"),
        (("push=6",), "'push=6' is not"),
        (("push=six+0",), "is not"),
        (("push=0+5",), "has no success, and goals are made"),
        (("push=6+0", "push=3+0"), "push is there twice"),
    ],
)
def test_what_is_no_column_is_refused(tasks: tuple[str, ...], message: str) -> None:
    with pytest.raises(VipOfflineError, match=message):
        dataclasses.replace(recipe("a=lite0/bc"), tasks=tasks).columns()
