"""What can be written to a run, as entries that survive as JSON, and how each reaches MLflow."""

import contextlib
import json
import logging
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

log = logging.getLogger("entente.tracking")

Entry = dict[str, Any]
Deliver = Callable[[Entry], None]

TABLES = "mlflow.loggedArtifacts"  # the tag by which the UI knows which artifacts are tables
BLEU = "val_bleu"  # tag of a model's version
EVALUATED = "evaluated."  # prefix of tags: what evaluation had otherwise than training
KEY = "entente.key"  # tag: the identity of a run before the store has it, by which it is made once
ENDED = "entente.ended"  # tag: what ended a stage that could not finish
POINTS = 1000  # MLflow's limits for one batch: metrics,
PER_BATCH = 100  # and parameters or tags


class RefusedError(Exception):
    """The store is there and will never take this entry."""


def now() -> int:
    """Return the time as MLflow writes it, in milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class Address:
    """A run as it is known here, how to find or make it in the store, and its id there once the store has it."""

    experiment: str
    name: str
    tags: dict[str, str]
    sought: dict[str, str] | None = None  # tags of the run to go on with, the latest so (an empty one it is to lack)
    creates: bool = True  # a run where none is found
    once: bool = False  # a step of a curve is logged once, whatever its value when a training comes there again
    key: str = field(default_factory=lambda: f"{now()}-{uuid.uuid4().hex}")  # sorts by time
    start: int = field(default_factory=now)  # of the run, in milliseconds
    run: str | None = None
    made: bool = False  # for this address, and not found


def batch(waiting: Iterable[Entry]) -> list[Entry]:
    """Return the oldest entry, with the metrics that follow it if it is one of metrics."""
    entries: list[Entry] = []
    points = 0
    for entry in waiting:
        points += len(entry["points"]) if entry["what"] == "metrics" else POINTS
        if entries and points > POINTS:
            break
        entries.append(entry)
    return entries


def together(entries: Sequence[Entry]) -> Entry:
    """Return a batch as one entry."""
    if len(entries) == 1:
        return entries[0]
    return {"what": "metrics", "points": [point for entry in entries for point in entry["points"]]}


def write(client: MlflowClient, address: Address, entry: Entry) -> None:
    """Write an entry to the run of `address`. To write one again changes nothing: an answer may have been lost."""
    if entry.get("only", address.made) == address.made:
        WRITERS[entry["what"]](client, str(address.run), entry | {"start": address.start})


def _metrics(client: MlflowClient, run: str, entry: Entry) -> None:
    start = entry["start"]
    points = [
        Metric(name, value, moment, round((moment - start) / 1000) if step is None else step)
        for name, value, moment, step in entry["points"]
    ]
    client.log_batch(run, metrics=points)


def _parameters(client: MlflowClient, run: str, entry: Entry) -> None:
    client.log_batch(run, params=[Param(*pair) for pair in entry["values"].items()])


def _tags(client: MlflowClient, run: str, entry: Entry) -> None:
    client.log_batch(run, tags=[RunTag(*pair) for pair in entry["values"].items()])


def _evaluated(client: MlflowClient, run: str, entry: Entry) -> None:
    """Tag what differs from what the run recorded."""
    data = client.get_run(run).data
    recorded = data.tags | data.params
    tags = [
        RunTag(f"{EVALUATED}{key}", value)
        for key, value in entry["values"].items()
        # An earlier evaluation's tag is corrected also where training and evaluation agree again.
        if recorded.get(key) != value or f"{EVALUATED}{key}" in recorded
    ]
    for start in range(0, len(tags), PER_BATCH):
        client.log_batch(run, tags=tags[start : start + PER_BATCH])


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
        client.create_registered_model(model, description="Translations by the networks of Entente.")
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
    """Append the rows that are not there yet to a table artifact (`log_table` goes by way of pandas' warnings)."""
    file = entry["file"]
    rows = json.loads(json.dumps(entry["rows"], default=str))  # as they are read again
    table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    recorded = json.loads(client.get_run(run).data.tags.get(TABLES, "[]"))
    mark = {"path": file, "type": "table"}
    with tempfile.TemporaryDirectory() as folder:
        if mark in recorded:
            earlier = json.loads(Path(client.download_artifacts(run, file, folder)).read_text(encoding="utf-8"))
            # A training that goes on may show again what it has shown, and what was sent may have lost its answer.
            table["data"] = earlier["data"] + [row for row in table["data"] if row not in earlier["data"]]
    client.log_text(run, json.dumps(table, ensure_ascii=False), file)
    if mark not in recorded:
        client.set_tag(run, TABLES, json.dumps([*recorded, mark]))


def _status(client: MlflowClient, run: str, entry: Entry) -> None:
    found = client.get_run(run)
    if entry["status"] == "RUNNING":
        client.update_run(run, status="RUNNING")
    else:
        client.set_terminated(run, entry["status"], end_time=entry["end"])
    if ENDED in found.data.tags and entry["status"] in ("RUNNING", "FINISHED"):  # of an earlier attempt
        client.delete_tag(run, ENDED)
    if KEY in found.data.tags:
        remove_twins(client, found, KEY)


def remove_twins(client: MlflowClient, run: Run, tag: str) -> None:
    """Delete other runs with this tag of a run: the store may have heard late that it was to make it, and made two."""
    for twin in client.search_runs([run.info.experiment_id], f"tags.`{tag}` = '{run.data.tags[tag]}'"):
        if twin.info.run_id == run.info.run_id:
            continue
        try:
            client.delete_run(twin.info.run_id)
        except MlflowException as error:
            if error.get_http_status_code() != 403:
                raise
            name, other = run.info.run_name, twin.info.run_id
            log.warning("the store made run %s twice, and this user may not delete the other, %s", name, other)


def _ended(client: MlflowClient, run: str, entry: Entry) -> None:
    """Say what ended a stage, and end its run where the stage could not; `lost`: only there. Nothing: it is mended."""
    if not entry["why"]:
        if ENDED in client.get_run(run).data.tags:
            client.delete_tag(run, ENDED)
        return
    running = client.get_run(run).info.status == "RUNNING"
    if running or not entry["lost"]:
        client.set_tag(run, ENDED, entry["why"])
    if running:
        client.set_terminated(run, "KILLED", end_time=entry["end"])


WRITERS: dict[str, Callable[[MlflowClient, str, Entry], None]] = {
    "metrics": _metrics,
    "parameters": _parameters,
    "tags": _tags,
    "evaluated": _evaluated,
    "artifact": _artifact,
    "dataset": _dataset,
    "table": _table,
    "register": _register,
    "status": _status,
    "ended": _ended,
}
