"""What a person sees, in a real browser: our pages and, of the MLflow UI, runs, curves, artifacts and the model."""

import struct
from pathlib import Path

import pytest

from pipelines import screenshots

pytestmark = pytest.mark.services


def test_every_page_opens_and_is_photographed(there: Path) -> None:
    screenshots.main()
    sizes = {}
    for file in sorted((there / screenshots.SHOTS).iterdir()):
        head = file.read_bytes()[:24]
        sizes[file.stem] = struct.unpack(">II", head[16:24])  # of a PNG
        assert file.stat().st_size > 10_000, file
    assert sizes == {
        "attention": (1280, 860),
        "attention_phone": (400, 860),
        "film": (1280, 1100),
        "search": (1280, 1180),
        **dict.fromkeys(("mlflow_attention", "mlflow_curves", "mlflow_model", "mlflow_runs"), (1400, 860)),
    }
