"""Learning curves as files: every logged figure, kept beside the checkpoints, written as CSV at the end."""

import csv
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from entente.text.corpus import drop_torn_line, replacing


class Curves(Logger):
    """Appends each figure to a JSON-lines file, so that an interrupted training keeps its curves."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        drop_torn_line(file)

    @property
    def name(self) -> str:
        """The name Lightning asks for."""
        return "curves"

    @property
    def version(self) -> str:
        """The version Lightning asks for."""
        return "0"

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Keep nothing: parameters are in params.yaml."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one line; Lightning calls this."""
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step, **metrics}) + "\n")

    def rows(self, prefix: str, columns: Sequence[str]) -> dict[int, dict[str, float]]:
        """Return the figures `prefix`/column by the number of updates made, in order."""
        rows: dict[int, dict[str, float]] = {}
        for line in self.file.read_text(encoding="utf-8").splitlines():
            figures = json.loads(line)
            wanted = {column: figures[f"{prefix}/{column}"] for column in columns if f"{prefix}/{column}" in figures}
            if wanted:
                # After a resumption an update can stand twice: the later figure is the one that counts.
                rows.setdefault(figures["step"] + 1, {}).update(wanted)
        return dict(sorted(rows.items()))

    def write(self, prefix: str, columns: Sequence[str], out: Path) -> None:
        """Write the figures `prefix`/column as a CSV of updates and columns."""
        with replacing(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as table:
            writer = csv.DictWriter(table, ["update", *columns], lineterminator="\n")
            writer.writeheader()
            writer.writerows({"update": update, **row} for update, row in self.rows(prefix, columns).items())
