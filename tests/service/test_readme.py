"""What the README shows is what happens: its sessions are run, with a model that has learnt nothing."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PORT = "http://127.0.0.1:8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def shape(value: Any) -> Any:
    """Return what stays the same whatever a model has learnt."""
    if isinstance(value, dict):
        return {key: text if key == "error" else shape(text) for key, text in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value)


@pytest.mark.services  # curl
def test_the_session_with_curl_goes_as_it_is_written(url: str) -> None:
    exchanges = re.findall(rf"^\$ (curl .*{PORT}\S*)\n(.*)$", "\n".join(blocks("console")), flags=re.MULTILINE)
    assert len(exchanges) == 2
    for asked, answered in exchanges:
        told = subprocess.run(shlex.split(asked.replace(PORT, url)), capture_output=True, text=True, check=True)
        assert shape(json.loads(told.stdout)) == shape(json.loads(answered))


def test_the_session_in_python_runs(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "model").symlink_to(model_folder)
    monkeypatch.chdir(tmp_path)
    [session] = blocks("python")
    names: dict[str, Any] = {}
    for line in re.findall(r"^>>> (.*)$", session, flags=re.MULTILINE):
        exec(line, names)
    assert len(names["best"]) == 2
    assert [one.kind for one in names["seen"].maps] == list(re.findall(r"'(\w+)': \(", session))


def test_every_picture_and_page_it_leads_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target
