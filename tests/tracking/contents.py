"""All that a store has, to be compared with what another has."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from entente.tracking.destination import PARENT
from entente.tracking.migration import WHOLE
from entente.tracking.runs import CARRIED


def contents(client: MlflowClient, place: Path, wanted: Container[str] | None = None) -> dict[str, Any]:
    """Return runs, points, files and models, under names and not under ids; downloads go to `place`.

    With `wanted`, of the runs those of these names.
    """
    experiments = {one.experiment_id: one.name for one in client.search_experiments()}
    found = client.search_runs(list(experiments), max_results=1000)
    names = {run.info.run_id: str(run.info.run_name) for run in found}
    assert len(set(names.values())) == len(names), "a run stands there twice"
    runs = {}
    for run in found:
        if wanted is not None and str(run.info.run_name) not in wanted:
            continue
        above = run.data.tags.get(PARENT)
        told = {tag: value for tag, value in run.data.tags.items() if tag not in (CARRIED, WHOLE, PARENT)}
        histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        files = {
            name: client.download_artifacts(run.info.run_id, name, str(place))
            for name in names_of(client, run.info.run_id)
        }
        runs[str(run.info.run_name)] = {
            "experiment": experiments[run.info.experiment_id],
            "told": (run.info.status, run.info.start_time, run.info.end_time, run.data.params, told),
            "parent": names[above] if above else None,
            "points": {
                name: sorted((point.step, point.timestamp, str(point.value)) for point in history)
                for name, history in histories.items()
            },
            "files": {name: Path(file).read_bytes() for name, file in files.items()},
            "inputs": run.inputs.to_dictionary() if run.inputs else {},
        }
    return {"runs": runs, "models": dict(models(client, names))}


def names_of(client: MlflowClient, run: str, folder: str | None = None) -> Iterator[str]:
    for file in client.list_artifacts(run, folder):
        yield from names_of(client, run, file.path) if file.is_dir else [file.path]


def models(client: MlflowClient, names: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield each registered model: what its versions say, whose they are and where their files lie, and its aliases."""
    for model in client.search_registered_models():
        versions = {
            version.version: (names[str(version.run_id)], str(version.source).partition("/artifacts/")[2], version.tags)
            for version in client.search_model_versions(f"name = '{model.name}'")
        }
        aliases = client.get_registered_model(model.name).aliases
        own = sorted(versions.values(), key=str)
        yield model.name, (model.description, own, {alias: versions[to] for alias, to in aliases.items()})
