"""What can be written to a run, as entries that survive as JSON, and how each reaches MLflow."""

import contextlib
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

Entry = dict[str, Any]
Deliver = Callable[[Entry], None]

TABLES = "mlflow.loggedArtifacts"  # the tag by which the UI knows which artifacts are tables
BLEU = "val_bleu"  # tag of a model's version
MALFORMED = (400, 404, 409)  # to send the same again would fail again


class RefusedError(Exception):
    """The store is there and will never take this entry."""


def deliver_to(client: MlflowClient, run: str) -> Deliver:
    """Return the function that writes one entry to `run`.

    It raises RefusedError, or anything else when the store is away.
    """

    def deliver(entry: Entry) -> None:
        try:
            WRITERS[entry["what"]](client, run, entry)
        except MlflowException as error:
            if error.get_http_status_code() in MALFORMED:
                raise RefusedError(str(error)) from error
            raise

    return deliver


def _metrics(client: MlflowClient, run: str, entry: Entry) -> None:
    client.log_batch(run, metrics=[Metric(*point) for point in entry["points"]])


def _parameters(client: MlflowClient, run: str, entry: Entry) -> None:
    client.log_batch(run, params=[Param(*pair) for pair in entry["values"].items()])


def _tags(client: MlflowClient, run: str, entry: Entry) -> None:
    client.log_batch(run, tags=[RunTag(*pair) for pair in entry["values"].items()])


def _artifact(client: MlflowClient, run: str, entry: Entry) -> None:
    path = Path(entry["path"])
    if path.is_dir():
        client.log_artifacts(run, str(path), entry["folder"])
    elif path.exists():
        client.log_artifact(run, str(path), entry["folder"])
    else:
        raise RefusedError(f"{path} is gone")


def _dataset(client: MlflowClient, run: str, entry: Entry) -> None:
    dataset = Dataset(
        name=entry["name"],
        digest=entry["digest"],
        source_type=entry["kind"],
        source=json.dumps({"uri": entry["source"], "url": entry["source"]}),
        profile=json.dumps({"num_rows": entry["rows"]}),
    )
    client.log_inputs(run, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", entry["context"])])])


def _register(client: MlflowClient, run: str, entry: Entry) -> None:
    model, corpus = entry["model"], entry["corpus"]
    with contextlib.suppress(MlflowException):  # it is there already; if it cannot be made the next call says so
        client.create_registered_model(model, description="English to French, by the networks of Entente.")
    if not client.list_artifacts(run, entry["folder"]):
        raise RefusedError(f"run {run} has no {entry['folder']} to register")
    source = f"{client.get_run(run).info.artifact_uri}/{entry['folder']}"
    versions = list(client.search_model_versions(f"name = '{model}'"))
    if source not in [version.source for version in versions]:
        told = {"corpus": corpus, "judged": entry["judged"], BLEU: f"{entry['bleu']:.4f}"}
        versions.append(client.create_model_version(model, source, run, told))
    alike = [one for one in versions if one.tags.get("judged") == entry["judged"] and BLEU in one.tags]
    best = max(alike, key=lambda version: (float(version.tags[BLEU]), int(version.version)))
    for alias in ("best", "best-" + re.sub(r"[^\w-]", "-", corpus)):
        client.set_registered_model_alias(model, alias, best.version)


def _table(client: MlflowClient, run: str, entry: Entry) -> None:
    """Append rows to a table artifact (`log_table` does too, by way of pandas and its warnings)."""
    file, rows = entry["file"], entry["rows"]
    table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    recorded = json.loads(client.get_run(run).data.tags.get(TABLES, "[]"))
    mark = {"path": file, "type": "table"}
    with tempfile.TemporaryDirectory() as folder:
        if mark in recorded:
            earlier = json.loads(Path(client.download_artifacts(run, file, folder)).read_text(encoding="utf-8"))
            table["data"] = earlier["data"] + table["data"]
    client.log_text(run, json.dumps(table, ensure_ascii=False, default=str), file)
    if mark not in recorded:
        client.set_tag(run, TABLES, json.dumps([*recorded, mark]))


def _status(client: MlflowClient, run: str, entry: Entry) -> None:
    if entry["status"] == "RUNNING":
        client.update_run(run, status="RUNNING")
    else:
        client.set_terminated(run, entry["status"], end_time=entry["end"])


WRITERS: dict[str, Callable[[MlflowClient, str, Entry], None]] = {
    "metrics": _metrics,
    "parameters": _parameters,
    "tags": _tags,
    "artifact": _artifact,
    "dataset": _dataset,
    "table": _table,
    "register": _register,
    "status": _status,
}


def now() -> int:
    """Return the time as MLflow writes it, in milliseconds."""
    return time.time_ns() // 1_000_000
