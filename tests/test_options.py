from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import EntenteError
from entente.options import Count, FileName, Share, choose, construct


class Colour:
    def __init__(self, *, red: Count, green: Count) -> None:
        self.values = red, green


@dataclass(frozen=True)
class Frame:
    width: Share


@dataclass(frozen=True)
class Picture:
    frame: Frame
    names: Sequence[FileName]
    more: Mapping[str, Any] | None = None


KINDS = {"colour": Colour}


def test_the_kind_names_the_class_and_the_keys_its_arguments() -> None:
    assert choose(KINDS, {"kind": "colour", "red": 3}, "paint")(green=4).values == (3, 4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"kind": "color"}, "paint: unknown kind 'color'; there are colour"),
        ({}, "paint: unknown kind None; there are colour"),
        ({"kind": ["colour"]}, "paint: unknown kind .*; there are colour"),
        ({"kind": "colour", "rde": 3}, "paint: colour has no option rde; it has red, green"),
        ({"kind": "colour", "red": "3"}, r"paint\.red is '3'; it should be a valid integer"),
        ({"kind": "colour", "red": 0}, r"paint\.red is 0; it should be at least 1"),
        ("colour", "paint is 'colour'; it should be a group of options"),
    ],
)
def test_what_is_unknown_or_of_another_type_is_named_with_what_there_is(option: Any, message: str) -> None:
    with pytest.raises(EntenteError, match=message):
        choose(KINDS, option, "paint")


def test_what_is_missing_is_told_when_nothing_more_can_come() -> None:
    chosen = choose(KINDS, {"kind": "colour", "red": 3}, "paint")
    with pytest.raises(EntenteError, match="paint lacks green"):
        chosen()
    with pytest.raises(EntenteError, match="paint lacks green"):
        choose(KINDS, {"kind": "colour", "red": 3}, "paint", whole=True)


def test_what_is_added_is_held_to_the_same_and_told_once() -> None:
    chosen = choose(KINDS, {"kind": "colour", "red": 3}, "paint")
    with pytest.raises(EntenteError, match=r"paint\.green is 0; it should be at least 1"):
        chosen(green=0)
    with pytest.raises(EntenteError, match="paint has no option red: that is known from elsewhere"):
        chosen(red=4, green=4)


def test_a_place_of_the_configuration_is_constructed_whole() -> None:
    assert construct(Colour, {"red": 3, "green": 4}, "paint").values == (3, 4)
    with pytest.raises(EntenteError, match="paint lacks green"):
        construct(Colour, {"red": 3}, "paint")
    with pytest.raises(EntenteError, match="paint has no option blue; it has red, green"):
        construct(Colour, {"red": 3, "green": 4, "blue": 5}, "paint")


def test_a_place_below_is_constructed_too() -> None:
    made = construct(Picture, {"frame": {"width": 0.5}, "names": ["a.png"]}, "picture")
    assert made == Picture(Frame(0.5), ["a.png"])
    with pytest.raises(EntenteError, match=r"picture\.frame\.width is 1; it should be less than 1"):
        construct(Picture, {"frame": {"width": 1}, "names": []}, "picture")
    with pytest.raises(EntenteError, match=r"picture\.names\.1 is '\.\./b'; it should be a name for a file, without"):
        construct(Picture, {"frame": {"width": 0.5}, "names": ["a", "../b"]}, "picture")


KEYS = st.dictionaries(st.sampled_from(["red", "green", "blue", "rde"]) | st.text(), st.integers(1))


@given(KEYS)
def test_a_place_of_the_configuration_is_constructed_whole_or_refused_by_name(keys: dict[str, int]) -> None:
    unknown, missing = sorted(keys.keys() - {"red", "green"}), [name for name in ("red", "green") if name not in keys]
    if not unknown and not missing:
        assert construct(Colour, keys, "paint").values == (keys["red"], keys["green"])
        assert choose(KINDS, keys | {"kind": "colour"}, "paint")().values == (keys["red"], keys["green"])
        return
    with pytest.raises(EntenteError) as refused:
        construct(Colour, keys, "paint")
    lacks, has_no = f"paint lacks {', '.join(missing)};", f"paint has no option {', '.join(unknown)}; it has red, green"
    assert str(refused.value).startswith(has_no if unknown else lacks)
