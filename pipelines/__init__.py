"""DVC stages and entry points. They import the package next to them, also in the copies DVC makes for queued runs."""

import sys
from pathlib import Path

_SOURCE = str(Path(__file__).resolve().parents[1] / "src")
if sys.path[0] != _SOURCE:
    sys.path.insert(0, _SOURCE)
