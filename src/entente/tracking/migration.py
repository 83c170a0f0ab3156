"""Carrying what one store holds to another: experiments, runs with all their points and files, registered models.

A run that is carried has a tag that says which it was from the moment it is there, and one that sums up what was
carried once all of it is: carried again it is completed, or brought up to date, and never made twice. Of what MLflow
can keep, that is carried which Entente writes: no traces, no logged models, nothing that was deleted.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from entente.errors import EntenteError
from entente.fingerprint import fingerprint
from entente.tracking.delivery import BLEU, PER_BATCH, POINTS, remove_twins
from entente.tracking.destination import PARENT, connect, latest
from entente.tracking.runs import CARRIED
from entente.tracking.store import SQLITE, open_store, pages, speaking_to, unsent

log = logging.getLogger("entente.tracking")

Item = TypeVar("Item")

WHOLE = "entente.carried.whole"  # tag: what was carried, summed up


@dataclass(frozen=True)
class Whole:
    """A run with all its points, and the sizes of its files in bytes."""

    run: Run
    points: list[Metric]
    files: Mapping[str, int]

    @property
    def tags(self) -> dict[str, str]:
        """Its tags, with its first store's name for it; a store that was carried on does not lose that."""
        own = {tag: value for tag, value in self.run.data.tags.items() if tag != WHOLE}
        return {CARRIED: self.run.info.run_id} | own

    def digest(self) -> str:
        """Sum up what there is to carry. Whatever writes a file again logs points too, so sizes do for files."""
        info, data, inputs = self.run.info, self.run.data, self.run.inputs.to_dictionary() if self.run.inputs else {}
        told = [info.run_name, info.status, info.end_time, data.params, self.tags, inputs, self.files]
        points = [(point.key, point.step, point.timestamp, str(point.value)) for point in self.points]
        return fingerprint({"told": told, "points": points}, [])


class Migration:
    """What the store at `source` holds, on its way to the store at `target`. All raise EntenteError."""

    def __init__(self, source: str, target: str) -> None:
        if source == target:
            raise EntenteError(f"{source} is where runs go already: MLFLOW_TRACKING_URI is to name the other store")
        if source.startswith(SQLITE) and not Path(source.removeprefix(SQLITE)).exists():
            raise EntenteError(f"there is no {source.removeprefix(SQLITE)} to carry runs from")
        self._from, self._to = source, target
        with speaking_to(source):
            self._source = MlflowClient(source)
        with speaking_to(target):
            self._target = MlflowClient(target)
        self._experiments: dict[str, str] = {}  # ids in the target by those in the source
        self._carried: dict[str, tuple[Run, Run]] = {}  # runs of the source, and what they are in the target

    def runs(self) -> list[Run]:
        """Return the runs there are, each after the run it belongs to; make their experiments in the target."""
        found: list[Run] = []
        with speaking_to(self._from):
            experiments = list(pages(lambda token: self._source.search_experiments(page_token=token)))
            for experiment in experiments:
                connect(self._from, experiment.name)  # which delivers what waits for the store
                own = [experiment.experiment_id]
                found += pages(lambda token, own=own: self._source.search_runs(own, page_token=token))  # type: ignore[misc]
        if any(unsent(self._from).glob("*.jsonl")):
            log.warning("runs are being written to %s: carry it again when they have ended", self._from)
        used = {run.info.experiment_id for run in found}
        for experiment in experiments:
            if experiment.experiment_id in used:
                self._experiments[experiment.experiment_id] = open_store(self._to, experiment.name)[1]
        known = {run.info.run_id: run for run in found}
        return sorted(found, key=lambda run: (_depth(run, known), run.info.start_time))

    def carry(self, run: Run) -> bool:
        """Carry a run, after the one that it belongs to; return whether the target lacked anything of it."""
        with speaking_to(self._from):
            whole = self._read(run)
        experiment = self._experiments[run.info.experiment_id]
        mark = {CARRIED: whole.tags[CARRIED]}
        with speaking_to(self._to):
            made = latest(self._target, experiment, mark)
            lacking = made is None or made.data.tags.get(WHOLE) != whole.digest()
            if made is None:
                name, start = run.info.run_name, run.info.start_time
                made = self._target.create_run(experiment, start_time=start, tags=mark, run_name=name)
            self._carried[run.info.run_id] = whole.run, made
            if lacking:
                self._write(whole, made)
        return lacking

    def models(self) -> int:
        """Carry the registered models, when the runs are; return how many versions the target lacked."""
        with speaking_to(self._from):
            found = list(pages(lambda token: self._source.search_registered_models(page_token=token)))
        return sum(self._model(model.name) for model in found)

    def _read(self, run: Run) -> Whole:
        run = self._source.get_run(run.info.run_id)
        histories = [self._source.get_metric_history(run.info.run_id, name) for name in sorted(run.data.metrics)]
        points = [point for history in histories for point in history]
        return Whole(run, points, dict(self._files(run.info.run_id, None)))

    def _files(self, run: str, folder: str | None) -> Iterator[tuple[str, int]]:
        for file in self._source.list_artifacts(run, folder):
            if file.is_dir:
                yield from self._files(run, file.path)
            else:
                yield file.path, file.file_size or 0

    def _write(self, whole: Whole, made: Run) -> None:
        """Write all there is of a run; what was written before is so not written twice."""
        info, data, there = whole.run.info, whole.run.data, made.info.run_id
        tags = whole.tags
        if tags.get(PARENT) in self._carried:
            tags[PARENT] = self._carried[tags[PARENT]][1].info.run_id
        for pairs in _parts(data.params.items(), PER_BATCH):
            self._target.log_batch(there, params=[Param(*pair) for pair in pairs])
        for points in _parts(whole.points, POINTS):
            metrics = [Metric(point.key, point.value, point.timestamp, point.step) for point in points]
            self._target.log_batch(there, metrics=metrics)
        for pairs in _parts(tags.items(), PER_BATCH):
            self._target.log_batch(there, tags=[RunTag(*pair) for pair in pairs])
        if whole.run.inputs and whole.run.inputs.dataset_inputs:
            self._target.log_inputs(there, datasets=whole.run.inputs.dataset_inputs)
        if whole.files:
            self._copy_files(info.run_id, there)
        if info.status == "RUNNING":
            self._target.update_run(there, status=info.status)
        else:
            self._target.set_terminated(there, info.status, end_time=info.end_time)
        remove_twins(self._target, self._target.get_run(there), CARRIED)
        self._target.set_tag(there, WHOLE, whole.digest())

    def _copy_files(self, run: str, there: str) -> None:
        with TemporaryDirectory() as place:
            with speaking_to(self._from):
                folder = self._source.download_artifacts(run, "", place)
            self._target.log_artifacts(there, folder)

    def _model(self, name: str) -> int:
        """Carry a registered model; return how many of its versions the target lacked."""
        with speaking_to(self._from):
            model = self._source.get_registered_model(name)
            versions = _versions(self._source, name)
        with speaking_to(self._to):
            with contextlib.suppress(MlflowException):  # it is there; if it cannot be made the next call says so
                self._target.create_registered_model(name, model.tags, model.description)
            there = {version.source: version for version in _versions(self._target, name)}
            before = len(there)
            carried = {}
            for version in versions:
                place = self._place(version)
                if place is None:
                    log.warning("version %s of %s is not carried: its run is not there", version.version, name)
                    continue
                if place not in there:
                    run, told = self._carried[str(version.run_id)][1].info.run_id, version.description
                    there[place] = self._target.create_model_version(name, place, run, version.tags, description=told)
                carried[version.version] = there[place]
            self._name(name, {alias: carried[to] for alias, to in model.aliases.items() if to in carried}, carried)
        return len(there) - before

    def _place(self, version: ModelVersion) -> str | None:
        """Return where the files of a version are in the target: those of its run."""
        if version.run_id not in self._carried or version.source is None:
            return None
        former, present = (run.info.artifact_uri for run in self._carried[version.run_id])
        rest = version.source.removeprefix(former)
        return None if rest == version.source else present + rest

    def _name(self, model: str, aliases: Mapping[str, ModelVersion], carried: Mapping[str, ModelVersion]) -> None:
        """Give versions the aliases they have in the source, but take none from a better version of somebody else's."""
        taken = self._target.get_registered_model(model).aliases
        own = {version.version for version in carried.values()}
        for alias, version in aliases.items():
            holder = taken.get(alias)
            if holder is None or holder in own or _better(version, self._target.get_model_version(model, holder)):
                self._target.set_registered_model_alias(model, alias, version.version)


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield all items, at most so many at a time."""
    every = list(items)
    return (every[start : start + size] for start in range(0, len(every), size))


def _depth(run: Run, known: Mapping[str, Run]) -> int:
    parent = known.get(run.data.tags.get(PARENT, ""))
    return 1 + _depth(parent, known) if parent else 0


def _versions(client: MlflowClient, model: str) -> list[ModelVersion]:
    """Return the versions of a registered model, the first one first."""
    found = pages(lambda token: client.search_model_versions(f"name = '{model}'", page_token=token))
    return sorted(found, key=lambda version: int(version.version))


def _better(version: ModelVersion, other: ModelVersion) -> bool:
    """Say whether a version has more BLEU by the same validation."""
    judged = {one.tags.get("judged") for one in (version, other)}
    first, second = (float(one.tags.get(BLEU, "-inf")) for one in (version, other))
    return len(judged) == 1 and first > second
