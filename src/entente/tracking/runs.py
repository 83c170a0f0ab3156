"""Runs: a training's record in MLflow, found again by its fingerprint."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import mlflow.entities
from mlflow.tracking.context.registry import resolve_tags

from entente.errors import TERMINATED, masked
from entente.tracking.delivery import PER_BATCH, Address, now
from entente.tracking.destination import PARENT, Destination, connect, latest
from entente.tracking.outbox import Outbox, Silence, Writes
from entente.tracking.spool import Spool
from entente.tracking.store import tracking_uri, unsent
from entente.tracking.system import SystemMetrics, machine

FINGERPRINT = "entente.fingerprint"
KIND = "entente.kind"  # of a run that is no training: sweep, benchmark, ensemble, out_of_domain
OWNER = "entente.job"  # the job of a sweep that a run belongs to; other trainings with its fingerprint are not its own
SYNTHETIC = "entente.synthetic."  # prefix of tags: by which command, and which, a text was made that was learnt from
CARRIED = "entente.carried"  # of a run out of another store: the id by which that one knew it
PARENT_VARIABLE = "ENTENTE_PARENT_RUN_ID"  # a sweep's own: MLFLOW_RUN_ID would make children write into the parent
COMMIT = "mlflow.source.git.commit"
FOLLOWED = ("dvc.exp", COMMIT)  # tags that evaluation compares too
PATIENCE = 30.0  # seconds that a stage waits for the store: at most as long to open its run, and later in all
LONGEST_VALUE = 6000  # MLflow's limit for a parameter


class Run:
    """One run, to write into. Use it in `with`: its status at the end is FINISHED, FAILED or KILLED.

    Nothing raises when the store is away: what could not be written waits in a file and is delivered later, the
    making of the run with it. Only a store that waiting cannot mend raises, EntenteError, and as the run is opened.
    """

    def __init__(self, address: Address, outbox: Writes, *, watch_every_seconds: float, owned: bool) -> None:
        self._address, self._outbox, self._owned = address, outbox, owned
        self._machine = SystemMetrics(lambda values: self.metrics(values, None), watch_every_seconds)
        self._watched = False

    @property
    def id(self) -> str:
        """The run's id in the store; until the store has it, the one by which the store will know it."""
        return self._address.run or self._address.key

    @property
    def name(self) -> str:
        """What it is called."""
        return self._address.name

    def metrics(self, values: Mapping[str, float], step: int | None) -> None:
        """Add a point to each curve. Names are grouped in the UI by what stands before the last slash.

        No step stands for the seconds since the run began.
        """
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
        self._outbox.flush()

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
        """Add parameters, nested as they are composed, unless the run is an earlier one: MLflow lets none change."""
        self._put_pairs("parameters", flatten(values), only=True)

    def evaluated(self, values: Mapping[str, str]) -> None:
        """Tag, as evaluated.NAME, which of these are not what the training recorded, if the run is a training's."""
        self._outbox.put({"what": "evaluated", "values": dict(values), "only": False})

    def keep(self) -> None:
        """Write down what the store lacks, for the next run if this process is killed; OSError if it cannot be."""
        self._outbox.keep()

    def flush(self) -> bool:
        """Wait until the store has everything, or is known to be away; return which."""
        return self._outbox.flush(insist=True)

    def __enter__(self) -> Self:
        """Open the run and begin to write; that takes no longer than the outbox is patient."""
        self._put_status("RUNNING")
        self._outbox.start()
        self._watched = self._owned or self._address.made
        if self._watched:
            self._machine.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note how it ended and deliver what waits."""
        if self._watched:
            self._machine.stop()
        self._put_status(status(error))
        if error is None and not self._owned:  # whatever ended an earlier attempt at this
            self._outbox.put({"what": "ended", "why": "", "end": now(), "lost": False})
        self._outbox.close()

    def _put_status(self, status: str) -> None:
        made = {} if self._owned else {"only": True}  # the status of a training is its own, whoever evaluates it
        self._outbox.put({"what": "status", "status": status, "end": now()} | made)

    def _put_pairs(self, what: str, values: Mapping[str, str], **only: bool) -> None:
        pairs = list(values.items())
        for start in range(0, len(pairs), PER_BATCH):
            self._outbox.put({"what": what, "values": dict(pairs[start : start + PER_BATCH])} | only)


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
        leads: bool = True,
    ) -> Run:
        """Return the run of a training: a new one, or with `resume` the one that was interrupted.

        What that one logged after its last checkpoint stands there once, however often it is logged. Of several
        processes only the one that `leads` writes; the others get a run that is silent.
        """
        if not leads:
            return self._run(Address(self._experiment, name, {}), Silence(), owned=False)
        sought = _mark(fingerprint, tags.get(OWNER)) if resume else None
        address = Address(self._experiment, name, {**_context(tags), FINGERPRINT: fingerprint}, sought, once=True)
        run = self._run(address, self._outbox(address), owned=True)
        run.parameters(parameters)
        return run

    def evaluate(self, name: str, fingerprint: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
        """Return the run of the training that is evaluated, to add to it; its status and its times stay.

        Where this store has none (the weights came from DVC's cache, say), return a new run that is marked.
        What differs from what the training's run recorded becomes tags `evaluated.NAME`.
        """
        context = _context(tags)
        told = {**context, FINGERPRINT: fingerprint, "entente.trained": "elsewhere"}
        address = Address(self._experiment, name, told, _mark(fingerprint, tags.get(OWNER)))
        run = self._run(address, self._outbox(address), owned=False)
        run.parameters(parameters)
        run.evaluated(flatten(parameters) | {tag: context[tag] for tag in FOLLOWED if tag in context})
        return run

    def ended(self, name: str, fingerprint: str, job: str, why: str, *, lost: bool = False) -> None:
        """Note at the run of a job, if there is one, what ended it, and end the run if it stands as running.

        Where the job may be `lost`, killed with all that would have told of it, a run that has ended is left alone.
        """
        address = Address(self._experiment, name, {}, _mark(fingerprint, job), creates=False)
        outbox = self._outbox(address)
        outbox.put({"what": "ended", "why": why, "end": now(), "lost": lost})
        outbox.start()
        outbox.close()

    def find(self, fingerprint: str, job: str | None = None) -> mlflow.entities.Run | None:
        """Return the latest run with this fingerprint, of this job or, if none is named, of no job.

        Raises EntenteError where the store is away or cannot be used.
        """
        client, experiment = connect(tracking_uri(), self._experiment)
        return latest(client, experiment, _mark(fingerprint, job))

    def _run(self, address: Address, outbox: Writes, *, owned: bool) -> Run:
        return Run(address, outbox, watch_every_seconds=self._system_metrics_every_seconds, owned=owned)

    def _outbox(self, address: Address) -> Outbox:
        uri = tracking_uri()
        deliver = Destination(uri, address, connect).deliver
        return Outbox(deliver, Spool(unsent(uri), address), self._flush_every_seconds, PATIENCE)


def _mark(fingerprint: str, job: str | None) -> dict[str, str]:
    """Return the tags by which a training's run is found: a job's is its own, though others train the same."""
    return {FINGERPRINT: fingerprint, OWNER: job or ""}


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
    """Add the surroundings: user, program, git commit and origin (MLflow finds them), DVC experiment, parent run."""
    surroundings = {
        **resolve_tags(),
        COMMIT: _commit(),  # of the folder worked in; MLflow's own looks where the program's file lies
        "dvc.exp": os.environ.get("DVC_EXP_NAME"),
        PARENT: os.environ.get(PARENT_VARIABLE),
        "entente.machine": machine(),
    }
    return {name: masked(str(value)) for name, value in surroundings.items() if value} | dict(tags)


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
