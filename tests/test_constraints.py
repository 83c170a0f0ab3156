"""constraints.txt is a way to install what pyproject.toml allows, whole and on any machine."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()]


def name(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_every_direct_dependency_is_pinned_within_its_bounds() -> None:
    extras = PROJECT["optional-dependencies"]
    pinned = {name(pin): str(pin.specifier).removeprefix("==") for pin in PINS}
    for line in [*PROJECT["dependencies"], *extras["ctranslate2"], *extras["shared"], *extras["test"], *extras["fuzz"]]:
        asked = Requirement(line)
        if name(asked) != PROJECT["name"]:
            assert asked.specifier.contains(pinned[name(asked)]), asked


def test_pins_are_exact_once_each_and_of_no_machine() -> None:
    assert len({name(pin) for pin in PINS}) == len(PINS) > 100
    for pin in PINS:
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin  # no local version, such as +cpu
        assert not name(pin).startswith(("nvidia-", "cuda-", "triton"))
