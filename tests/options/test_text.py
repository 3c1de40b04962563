import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    CompareOptions,
    ImportOptions,
    RelabelOptions,
    SearchOptions,
    ServeOptions,
    TrainOptions,
)
from vip_offline.options.fields import Field, fields_of
from vip_offline.options.text import from_text, is_text, metavar_of, to_text


def field(kind: type, name: str) -> Field:
    return next(field for field in fields_of(kind) if field.name == name)


@pytest.mark.parametrize(
    ("kind", "name", "text", "value"),
    [
        (TrainOptions, "tau", "auto", "auto"),
        (TrainOptions, "tau", "2.5", 2.5),
        (TrainOptions, "hidden", "8,16", (8, 16)),
        (TrainOptions, "cameras", "top,wrist", ("top", "wrist")),
        (TrainOptions, "cameras", "", ()),
        (CompareOptions, "arms", "bc,rwr-step@0.1", ("bc", "rwr-step@0.1")),
        (ImportOptions, "size", "224x320", (224, 320)),
        (ImportOptions, "size", "", None),
        (SearchOptions, "filter", "0.25,0.8,0", (0.25, 0.8, 0.0)),
        (ServeOptions, "hold", "auto", "auto"),
        (ServeOptions, "hold", "last", "last"),
        (ServeOptions, "hold", "0,-1.5", (0.0, -1.5)),
        (ServeOptions, "hold", "3", (3.0,)),
    ],
)
def test_texts_become_values(kind: type, name: str, text: str, value: object) -> None:
    assert from_text(field(kind, name), text) == value


@pytest.mark.parametrize(
    ("kind", "name", "text", "message"),
    [
        (TrainOptions, "tau", "warm", "--tau warm: expected auto or a number."),
        (TrainOptions, "hidden", "8,x", "--hidden 8,x: expected whole numbers, as <int,...>."),
        (TrainOptions, "hidden", "8,", "--hidden 8,: expected whole numbers, as <int,...>."),
        (SearchOptions, "filter", "1,b", "--noise-filter 1,b: expected numbers, as <float,...>."),
        (ImportOptions, "size", "224", "--resize 224: expected HEIGHTxWIDTH, e.g. 224x224."),
        (
            ServeOptions,
            "hold",
            "stop",
            "--hold stop: expected auto, zero, last or numbers with commas.",
        ),
    ],
)
def test_texts_that_are_no_value(kind: type, name: str, text: str, message: str) -> None:
    with pytest.raises(VipOfflineError) as caught:
        from_text(field(kind, name), text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "kind", [TrainOptions, CompareOptions, ImportOptions, SearchOptions, ServeOptions]
)
def test_a_default_is_the_value_of_its_text(kind: type) -> None:
    texts = [field for field in fields_of(kind) if is_text(field)]
    assert texts
    for text in texts:
        assert from_text(text, to_text(text.default)) == text.default


def test_plain_types_are_not_read_here() -> None:
    plain = ("encoder", "gamma", "fit", "goal", "batch_size")
    assert not any(is_text(field(RelabelOptions, name)) for name in plain)
    assert metavar_of(field(ServeOptions, "hold")) == "<auto|zero|last|float,...>"
