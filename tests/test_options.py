import pytest

from entente.errors import EntenteError
from entente.options import choose, construct


class Colour:
    def __init__(self, *, red: int, green: int) -> None:
        self.values = red, green


KINDS = {"colour": Colour}


def test_the_kind_names_the_class_and_the_keys_its_arguments() -> None:
    assert choose(KINDS, {"kind": "colour", "red": 3}, "paint")(green=4).values == (3, 4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"kind": "color"}, "paint: unknown kind 'color'; there are colour"),
        ({}, "paint: unknown kind None; there are colour"),
        ({"kind": "colour", "rde": 3}, "paint: colour has no option rde; it has red, green"),
    ],
)
def test_what_is_unknown_is_named_with_what_there_is(option: dict[str, object], message: str) -> None:
    with pytest.raises(EntenteError, match=message):
        choose(KINDS, option, "paint")


def test_a_place_of_the_configuration_is_constructed_whole() -> None:
    assert construct(Colour, {"red": 3, "green": 4}, "paint").values == (3, 4)
    with pytest.raises(EntenteError, match="paint lacks green"):
        construct(Colour, {"red": 3}, "paint")
    with pytest.raises(EntenteError, match="paint has no option blue; it has red, green"):
        construct(Colour, {"red": 3, "green": 4, "blue": 5}, "paint")
