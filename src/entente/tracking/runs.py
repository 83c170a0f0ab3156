"""Runs: a training's record in MLflow, found again by its fingerprint."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import mlflow.entities
from mlflow import MlflowClient
from mlflow.tracking.context.registry import resolve_tags

from entente.errors import TERMINATED
from entente.tracking.delivery import deliver_to, now
from entente.tracking.outbox import Outbox, Silence, Writes, deliver_left_over
from entente.tracking.store import open_store, tracking_uri, unsent
from entente.tracking.system import SystemMetrics, machine

FINGERPRINT = "entente.fingerprint"
KIND = "entente.kind"  # of a run that is no training: sweep, benchmark, ensemble, out_of_domain
OWNER = "entente.job"  # the job of a sweep that a run belongs to; other trainings with its fingerprint are not its own
PARENT = "mlflow.parentRunId"
PARENT_VARIABLE = "ENTENTE_PARENT_RUN_ID"  # a sweep's own: MLFLOW_RUN_ID would make children write into the parent
EVALUATED = "evaluated."  # prefix of tags: what evaluation had otherwise than training
COMMIT = "mlflow.source.git.commit"
FOLLOWED = ("dvc.exp", COMMIT)  # tags that evaluation compares too
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
LONGEST_VALUE = 6000  # MLflow's limit for a parameter
PER_BATCH = 100  # MLflow's limit for parameters and tags in a call
PATIENCE = 30.0  # seconds to wait for the store where a stage has to


class Run:
    """One run, to write into. Use it in `with`: its status at the end is FINISHED, FAILED or KILLED.

    Nothing raises when the store is away: what could not be written waits in a file and is delivered later.
    """

    def __init__(self, identity: str, name: str, outbox: Writes, *, owned: bool) -> None:
        self.id, self.name = identity, name
        self._outbox, self._owned = outbox, owned
        self._machine: SystemMetrics | None = None

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve. Names are grouped in the UI by what stands before the last slash."""
        moment = now()
        points = [[_key(name), float(value), moment, step] for name, value in values.items()]
        if points:
            self._outbox.put({"what": "metrics", "points": points})

    def table(self, file: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows, with the same columns each time, to the table `file` (its name ends with .json)."""
        if rows:
            self._outbox.put({"what": "table", "file": file, "rows": [dict(row) for row in rows]})

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a file, or all that is in a folder, under `folder`; `path` may change once this returns."""
        self._outbox.put({"what": "artifact", "path": str(path.resolve()), "folder": folder})
        self._outbox.flush(PATIENCE)

    def register(self, model: str, folder: str, *, corpus: str, judged: str, bleu: float) -> None:
        """Make the artifacts in `folder` a version of a registered model, unless they are one.

        `bleu` is of the validation that `judged` names: of the versions judged so the best is called best-CORPUS and,
        until another corpus is registered, best. Scores of two validations do not compare.
        """
        entry = {"model": model, "folder": folder, "corpus": corpus, "judged": judged, "bleu": bleu}
        self._outbox.put({"what": "register"} | entry)

    def dataset(self, name: str, source: str, digest: str, *, context: str, rows: int) -> None:
        """Note what data the run used.

        `source` is a URL or a path, `digest` DVC's hash, `context` training or evaluation, `rows` the pairs.
        """
        kind = "http" if source.startswith(("http://", "https://")) else "local"
        entry = {
            "name": name,
            "source": source,
            "kind": kind,
            "digest": digest[:36],
            "context": context,
            "rows": rows,
        }
        self._outbox.put({"what": "dataset"} | entry)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._put_pairs("tags", values)

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Add parameters, nested as they are composed. MLflow never lets one change."""
        self._put_pairs("parameters", flatten(values))

    def watch(self, start: float, every_seconds: float) -> None:
        """Log the machine's readings while the run is open; `start`, in Unix time, is their step 0."""
        self._machine = SystemMetrics(self.metrics, start, every_seconds)

    def flush(self) -> None:
        """Wait until the store has everything, or is known to be away."""
        self._outbox.flush(PATIENCE)

    def __enter__(self) -> Self:
        """Begin to write."""
        self._outbox.start()
        if self._owned:
            self._outbox.put({"what": "status", "status": "RUNNING"})
        if self._machine:
            self._machine.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note how it ended and deliver what waits."""
        if self._machine:
            self._machine.stop()
        if self._owned:
            self._outbox.put({"what": "status", "status": status(error), "end": now()})
        self._outbox.close(PATIENCE)

    def _put_pairs(self, what: str, values: Mapping[str, str]) -> None:
        pairs = list(values.items())
        for start in range(0, len(pairs), PER_BATCH):
            self._outbox.put({"what": what, "values": dict(pairs[start : start + PER_BATCH])})


class Runs:
    """The runs of one experiment."""

    def __init__(self, experiment: str, *, flush_every_seconds: float, system_metrics_every_seconds: float) -> None:
        self._experiment = experiment
        self._flush_every_seconds = flush_every_seconds
        self._system_metrics_every_seconds = system_metrics_every_seconds

    def train(
        self,
        name: str,
        fingerprint: str,
        parameters: Mapping[str, Any],
        tags: Mapping[str, str],
        *,
        resume: bool,
    ) -> Run:
        """Return the run of a training: a new one, or with `resume` the one that was interrupted.

        In a distributed training only the first process writes; the others get a run that is silent.
        """
        if any(os.environ.get(rank, "0") != "0" for rank in RANKS):
            return Run("", name, Silence(), owned=False)
        found = self.find(fingerprint, tags.get(OWNER)) if resume else None
        return self._written(found, owned=True) if found else self._create(name, fingerprint, parameters, tags)

    def evaluate(self, name: str, fingerprint: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
        """Return the run of the training that is evaluated, to add to it; its status and its times stay.

        Where this store has none (the weights came from DVC's cache, say), return a new run that is marked.
        What differs from what the training's run recorded becomes tags `evaluated.NAME`.
        """
        found = self.find(fingerprint, tags.get(OWNER))
        if found is None:
            return self._create(name, fingerprint, parameters, {**tags, "entente.trained": "elsewhere"})
        run = self._written(found, owned=False)
        context = _context(tags)
        current = flatten(parameters) | {tag: context[tag] for tag in FOLLOWED if tag in context}
        recorded = found.data.tags | found.data.params
        run.tags(
            {
                f"{EVALUATED}{key}": value
                for key, value in current.items()
                # An earlier evaluation's tag is corrected also where training and evaluation agree again.
                if recorded.get(key) != value or f"{EVALUATED}{key}" in recorded
            }
        )
        return run

    def find(self, fingerprint: str, job: str | None = None) -> mlflow.entities.Run | None:
        """Return the latest run with this fingerprint, of this job if one is named."""
        client, experiment_id = self._opened
        of_job = f" and tags.`{OWNER}` = '{job}'" if job else ""
        found = client.search_runs(
            [experiment_id],
            filter_string=f"tags.`{FINGERPRINT}` = '{fingerprint}'{of_job}",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return found[0] if found else None

    @cached_property
    def _opened(self) -> tuple[MlflowClient, str]:
        uri = tracking_uri()
        client, experiment_id = open_store(uri, self._experiment)
        for spool in sorted(unsent(uri).glob("*.jsonl")):
            deliver_left_over(spool, deliver_to(client, spool.stem))
        return client, experiment_id

    def _create(self, name: str, fingerprint: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
        client, experiment_id = self._opened
        created = client.create_run(experiment_id, run_name=name, tags={**_context(tags), FINGERPRINT: fingerprint})
        run = self._written(created, owned=True)
        run.parameters(parameters)
        return run

    def _written(self, found: mlflow.entities.Run, *, owned: bool) -> Run:
        identity = found.info.run_id
        client, _ = self._opened
        outbox = Outbox(
            deliver_to(client, identity),
            unsent(tracking_uri()) / f"{identity}.jsonl",
            self._flush_every_seconds,
        )
        run = Run(identity, found.info.run_name or identity, outbox, owned=owned)
        if owned:
            run.watch(found.info.start_time / 1000, self._system_metrics_every_seconds)
        return run


def flatten(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return nested parameters under dotted names, values as YAML writes them; lists stay whole.

    A value beyond MLflow's 6,000 characters is cut and ends with its hash, so that two such still differ.
    """
    flat: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{key}": text for key, text in flatten(value).items()}
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        if len(text) > LONGEST_VALUE:
            end = f"... sha256 {hashlib.sha256(text.encode()).hexdigest()}"
            text = text[: LONGEST_VALUE - len(end)] + end
        flat[_key(name)] = text
    return flat


def status(error: BaseException | None) -> str:
    """Return how a run ended: KILLED by a person or a scheduler, FAILED by itself, else FINISHED."""
    if error is None or (type(error) is SystemExit and error.code in (None, 0)):
        return "FINISHED"
    # Lightning turns Ctrl-C into SystemExit(1), and SIGTERM into a kind of SystemExit.
    causes = (error, error.__context__)
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return "KILLED"
    asked = isinstance(error, SystemExit) and (type(error) is not SystemExit or error.code == TERMINATED)
    return "KILLED" if asked else "FAILED"


def _context(tags: Mapping[str, str]) -> dict[str, str]:
    """Add the surroundings: user, program and git commit (MLflow finds them), DVC experiment, parent run."""
    surroundings = {
        **resolve_tags(),
        COMMIT: _commit(),  # of the folder worked in; MLflow's own looks where the program's file lies
        "dvc.exp": os.environ.get("DVC_EXP_NAME"),
        PARENT: os.environ.get(PARENT_VARIABLE),
        "entente.machine": machine(),
    }
    return {name: str(value) for name, value in surroundings.items() if value} | dict(tags)


def _commit() -> str:
    """Return git's HEAD, or nothing where there is no repository, no commit or no git."""
    try:
        return subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"], check=False, capture_output=True, text=True
        ).stdout.strip()
    except FileNotFoundError:
        return ""


def _key(name: str) -> str:
    """Replace what MLflow does not take in a name."""
    return re.sub(r"[^\w\-. :/]", "_", name)
