"""Configurations that were changed by hand, as the first stage reads them."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import compose
from tests.rubbish.table import refused

ROOT = Path(__file__).parents[2]
GONE = object()
NAN, INFINITE = float("nan"), float("inf")


def changed(parameters: dict[str, Any], places: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with other values in some places."""
    result = copy.deepcopy(parameters)
    for place, value in places.items():
        *groups, last = place.split(".")
        inner: Any = result
        for group in groups:
            inner = inner[int(group) if isinstance(inner, list) else group]
        if value is GONE:
            del inner[last]
        else:
            inner[int(last) if isinstance(inner, list) else last] = value
    return result


def refuse(parameters: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Expect that the first stage refuses what DVC composed, and leaves everything as it was."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_EXP_NAME", "some-name")
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(parameters))
    before = file.read_bytes()
    with refused(said):
        compose.main()
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]
    assert file.read_bytes() == before
