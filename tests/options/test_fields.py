import dataclasses
import typing
from pathlib import Path

import pytest

from vip_offline import options as every
from vip_offline.config import load_recipe
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions, RelabelOptions, ServeOptions, TrainOptions
from vip_offline.options.fields import Field, OptionError, check_ranges, fields_of, range_text

KINDS = [
    kind
    for name, kind in vars(every).items()
    if dataclasses.is_dataclass(kind) and name != "Computing"
]
FIELDS = [field for kind in KINDS for field in fields_of(typing.cast("type", kind))]


def name(field: Field) -> str:
    return f"{field.kind.__name__}.{field.name}"


@pytest.mark.parametrize("field", FIELDS, ids=name)
def test_help_is_sentences_that_stand_alone(field: Field) -> None:
    text = field.option.help
    assert text[0].isupper() and text.endswith(".")
    assert not text.startswith(("Of ", "That ", "See ", "In ", "By "))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_is_an_option_or_a_table(kind: type) -> None:
    hints = typing.get_type_hints(kind)
    names = {field.name for field in fields_of(kind)}
    tables = {
        key
        for key, hint in hints.items()
        if any(map(dataclasses.is_dataclass, (hint, *typing.get_args(hint))))  # it may be missing
    }
    assert names | tables == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_defaults_are_in_range(kind: type) -> None:
    required = {"pretrain": PretrainOptions()} if kind is every.PretrainRecipe else {}
    check_ranges(kind(**required))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TrainOptions(tau=-1), "--tau -1: must be at least 0."),
        (TrainOptions(tau=float("nan")), "--tau nan: must be at least 0."),
        (TrainOptions(weight_cap=float("inf")), "--weight-cap inf: must be at least 0."),
        (TrainOptions(expectile=1.0), "--expectile 1: must be above 0 and below 1."),
        (TrainOptions(hidden=(8, 0)), "--hidden 8,0: must be at least 1."),
        (TrainOptions(seed=2**32), "--seed 4294967296: must be at least 0 and below 4294967296."),
        (RelabelOptions(gamma=1.5), "--gamma 1.5: must be above 0 and at most 1."),
        (ServeOptions(lost=0), "--ping-timeout 0: must be above 0."),
    ],
)
def test_an_error_names_flag_value_and_range(options: object, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_ranges(options)
    assert str(caught.value) == message
    assert isinstance(caught.value, VipOfflineError)


def test_words_are_not_numbers() -> None:
    check_ranges(TrainOptions(tau="auto", standardise=False))


def test_a_range_in_words() -> None:
    (port,) = (field for field in fields_of(ServeOptions) if field.name == "port")
    assert range_text(port.option) == "at least 0 and at most 65535"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\ntau = -1\n", "train.tau = -1: must be at least 0."),
        ("[train]\nhidden = [8, 0]\n", "train.hidden = [8, 0]: must be at least 1."),
        ("[compare]\nprocesses = 0\n", "compare.processes = 0: must be at least 1."),
        ("[rollout]\nhorizon = 0\n", "rollout.horizon = 0: must be at least 1 and at most 500."),
    ],
)
def test_in_a_recipe_it_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(VipOfflineError) as caught:
        load_recipe(path)
    assert str(caught.value) == f"{path}: {message}"
