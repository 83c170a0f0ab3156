"""The runs that a page of docs/ is made from: those in the tracking store, and those kept in an archive beside it.

A page is so written again without the store, and a run added on another machine. Of a corpus that is not embedded,
nothing but translations and what BLEU counts of them is kept.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from entente.evaluation.comparison import BASELINE
from entente.evaluation.markdown import Origin
from entente.evaluation.translations import withhold
from entente.tracking.archive import Files, contents, read_archive, write_archive
from entente.tracking.records import EVALUATED, Record, Records
from entente.tracking.runs import COMMIT, KIND, SYNTHETIC, flatten
from entente.tracking.store import root
from pipelines.compose import CONF, compose, plain
from pipelines.report import SPEED, tests

TOKENS = "train/tokens"
CURVES = (TOKENS, SPEED, "val/loss", "val/accuracy", "val/bleu")
SWEEP = "python -m pipelines.ablate --multirun "
DECISIVE = ("corpus", "subwords", "segmentation", "synthetic", "model", "training", "trainer", "decoding")
UNTRAINED = ("benchmark", "ensemble", "out_of_domain")  # kinds of runs
# Options that came later than some archived runs, as those runs had them: so they decide nothing.
LATER = {
    "segmentation.each": "1",
    "segmentation.alpha": "0.0",
    "synthetic": "[]",
    "training.loss.kind": "cross_entropy",
    "training.optimizer.kind": "adam",
    "model.shared_embeddings": "true",
    "model.attention_dropout": "0.0",
    "model.feed_forward_dropout": "null",
}
IDLE = (
    "training.snapshots",
    "trainer.devices",
    "trainer.nodes",
    "trainer.launcher",
)  # options of a group that decides, on which no result hangs
RENAMED = {"training.adam.": "training.optimizer."}  # what some archived runs called them

Found = dict[tuple[str, int], Record]  # by ablation and seed


def known(archive: Path) -> list[Record]:
    """Return the runs of ablations, and those that trained nothing, of store and archive, the latest first."""
    store = Records(str(compose([], root() / CONF).tracking.experiment))
    kept = read_archive(archive) if archive.exists() else []
    stored = [*store.tagged("entente.ablation"), *(record for kind in UNTRAINED for record in store.tagged(KIND, kind))]
    return sorted({record.id: record for record in [*kept, *stored]}.values(), key=attrgetter("began"), reverse=True)


def experiments() -> list[str]:
    """Return all experiments there are, the baseline first."""
    names = sorted(file.stem for file in (root() / CONF / "experiment").glob("*.yaml"))
    return sorted(names, key=lambda name: name != BASELINE)


def runs(records: Sequence[Record], overrides: Sequence[str], names: Sequence[str]) -> Found:
    """Return the latest evaluated run of each ablation and seed that was made as its experiment says, and `overrides`.

    Runs of an experiment that has changed since, or was told something else beside, are none; nor are those that learnt
    from another synthetic text of that name than the latest did.
    """
    wanted = {name: composed(name, overrides) for name in names}
    found: Found = {}
    learnt: dict[str, Mapping[str, str]] = {}  # of each experiment the synthetic text, by the latest run
    for record in records:
        own = decisive(record)
        # Whatever it was called when it was made.
        name = next((name for name in names if wanted[name] == own), None)
        if name and EVALUATED in record.figures and synthetic(record) == learnt.setdefault(name, synthetic(record)):
            found.setdefault((name, int(record.parameters["seed"])), record)
    return dict(sorted(found.items(), key=lambda item: (names.index(item[0][0]), item[0][1])))


def synthetic(record: Record) -> dict[str, str]:
    """Return which synthetic texts a run learnt from, by name: the command that made each, and its digest."""
    return {tag.removeprefix(SYNTHETIC): told for tag, told in record.tags.items() if tag.startswith(SYNTHETIC)}


def composed(experiment: str, overrides: Sequence[str]) -> dict[str, str]:
    """Return the parameters that decide the results of an experiment, by their dotted names."""
    return _decisive(_parameters((*overrides, f"experiment={experiment}"), (root() / CONF).resolve()))


def decisive(record: Record) -> dict[str, str]:
    """Return the parameters that decided the results of a run."""
    return _decisive({_renamed(key): value for key, value in record.parameters.items()})


@cache
def _parameters(overrides: tuple[str, ...], conf: Path) -> Mapping[str, str]:
    return flatten(plain(compose(overrides, conf)))


def _decisive(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in parameters.items()
        if key.split(".")[0] in DECISIVE and key not in IDLE and LATER.get(key) != value
    }


def _renamed(key: str) -> str:
    for former, present in RENAMED.items():
        key = key.replace(former, present) if key.startswith(former) else key
    return key


def keep(
    archive: Path, networks: Iterable[Record], more: Mapping[str, Mapping[str, float]], others: Iterable[Record]
) -> None:
    """Archive what a page was made from, and that alone: networks, by their id `more` figures of them, and figures of
    `others`, which trained nothing, with what they translated.
    """
    kept = {_name(record): _kept(record, "evaluation", CURVES, more.get(record.id, {})) for record in networks}
    kept |= {_name(other): _kept(other, other.tags[KIND], other.figures, {}) for other in others}
    write_archive(archive, kept)


def _kept(record: Record, artifact: str, curves: Iterable[str], more: Mapping[str, float]) -> Files:
    """Return what to archive of a run, of an artifact without the sentences of a corpus that is not embedded."""
    with TemporaryDirectory() as place:
        if record.tags.get(KIND) != "benchmark":  # which translated nothing
            record.fetch(artifact, Path(place))
        if record.parameters.get("corpus.download.kind") != "grammar":
            for folder in {file.parent for file in Path(place).rglob("*.tsv")}:
                for file in tests(folder):
                    withhold(file)
        return contents(record, curves, more, Path(place))


def _name(record: Record) -> str:
    seed = f" seed={record.parameters['seed']}" if "seed" in record.parameters else ""
    name = record.tags.get("entente.ablation", record.tags.get(KIND, ""))
    return re.sub(r"[^\w.=]+", "-", f"{name}{seed} {record.id[:8]}")


def origins(found: Found, extra: Sequence[str]) -> list[Origin]:
    """Say how the runs were made: a line for each ablation, with what its command has beside experiment and seeds."""
    lines = []
    for name in dict.fromkeys(name for name, _ in found):
        own = {seed: record for (other, seed), record in found.items() if other == name}
        seeds = ",".join(map(str, own))
        told = (told.rpartition(" ")[0] for record in own.values() for told in synthetic(record).values())
        command = SWEEP + " ".join([f"experiment={name}", f"seed={seeds}", *extra])
        before = [made for made in dict.fromkeys(told) if made]
        lines.append(origin(name, seeds, " && ".join([*before, command]), list(own.values())))
    return lines


def origin(what: str, seeds: str, command: str, records: Sequence[Record]) -> Origin:
    """Say how `records` were made, by which command."""
    machines = sorted({record.tags.get("entente.machine", "unknown") for record in records})
    commits = sorted({record.tags.get(COMMIT, "unknown")[:7] for record in records})
    days = sorted({f"{record.began:%Y-%m-%d}" for record in records})
    return Origin(what, seeds, command, "; ".join(machines), ", ".join(commits), ", ".join(days))
