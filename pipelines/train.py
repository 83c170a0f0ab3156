"""Stage `train`: from encoded text to the weights that translate the validation set best."""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from entente.decoding import greedy
from entente.errors import for_people
from entente.evaluation.scores import bleu
from entente.fingerprint import fingerprint
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build, save
from entente.options import construct
from entente.text.corpus import read_lines, read_references, replacing, replacing_folder
from entente.text.subwords import Subwords
from entente.tracking.logger import RunLogger
from entente.tracking.runs import Run
from entente.training.curves import Curves
from entente.training.fit import MOMENTS, fit, forget
from entente.training.launch import LAUNCHED, environment, launched
from entente.training.parallel_data import ParallelData
from entente.training.settings import Machine
from entente.training.teacher_forcing import TeacherForcing, Validation
from pipelines import learning
from pipelines.parameters import PARAMETERS, inputs, read
from pipelines.tracked_run import JOB, identity, note_data, open_runs, tags

PREPARED, ENCODED, SUBWORDS = Path("data/prepared"), Path("data/encoded"), Path("artifacts/subwords/subwords.model")
MODEL, CURVES, METRICS = Path("artifacts/model"), Path("artifacts/curves"), Path("artifacts/metrics/train.json")
SNAPSHOTS = Path("artifacts/snapshots")
VALIDATED = ("bleu", "accuracy", "perplexity", "loss")


def validation(subwords: Subwords, device: torch.device, run: Run, settings: dict[str, Any]) -> Validation:
    """Translate some validation sentences greedily, score them by BLEU, and show a few in the tracking run."""
    sources = list(read_lines(PREPARED / "val.en"))
    references = read_references(PREPARED / "val.references.jsonl")
    numbers = _spread(settings["sentences"], len(sources))
    chosen = [sources[number] for number in numbers]
    answers = [references[number] for number in numbers]
    shown = _spread(settings["samples"], len(chosen))

    def translate(network: Seq2Seq, part: slice) -> list[str]:
        return greedy.translate(
            network,
            subwords,
            chosen[part],
            device,
            max_length_factor=settings["max_length_factor"],
            max_length_offset=settings["max_length_offset"],
        )

    def score(hypotheses: Sequence[str]) -> float:
        return bleu(hypotheses, answers)

    def show(hypotheses: Sequence[str], update: int) -> None:
        run.table(
            "translations.json",
            [
                {"update": update, "source": chosen[i], "translation": hypotheses[i], "reference": answers[i][0]}
                for i in shown
            ],
        )

    return Validation(translate, score, show)


def _spread(count: int, total: int) -> list[int]:
    # Evenly over the whole: some corpora are sorted by length.
    count = min(count, total)
    return [number * total // count for number in range(count)]


def module(network: Seq2Seq, judge: Validation, updates: int) -> TeacherForcing:
    """Join the network with the loss, the optimizer and the schedule of params.yaml."""
    training = read("training")
    return TeacherForcing(
        network,
        learning.loss(training),
        learning.optimizer(training),
        learning.schedule(training, updates),
        validation=judge,
        seed=read("seed"),
    )


def write_outs(network: Seq2Seq, subwords: Subwords, mark: str, curves: Curves, best: int) -> None:
    """Write the model as a folder that translates by itself, the learning curves and the metrics."""
    names = {"network": read("model"), "vocabulary": len(subwords), "subwords": subwords.digest, "fingerprint": mark}
    with replacing_folder(MODEL) as folder:
        save(network, names, folder)
        shutil.copyfile(SUBWORDS, folder / "subwords.model")
    curves.write("train", ("loss", "learning_rate", "gradient_norm"), CURVES / "training.csv")
    curves.write("val", VALIDATED, CURVES / "validation.csv")
    figures = {"updates": best, **curves.rows("val", VALIDATED)[best]}
    with replacing(METRICS) as temporary:
        temporary.write_text(json.dumps({"val": figures}, indent=2) + "\n", encoding="utf-8")


def keep_snapshots(taken: Path) -> None:
    """Write the folder of the training's moments; where none were asked for it is empty."""
    with replacing_folder(SNAPSHOTS) as folder:
        if taken.exists():
            shutil.copytree(taken, folder, dirs_exist_ok=True)


@for_people
def main() -> None:
    """Train, resuming where an interruption left off, log to MLflow, and write the outs."""
    machine = construct(Machine, read("trainer"), "trainer")
    machine.share(read("training.accumulate"))
    mark = fingerprint(*inputs("train"))
    # A sweep's job goes on in its own tracking run, so from its own checkpoint.
    name = "-".join([mark, *([os.environ[JOB]] if JOB in os.environ else [])])
    checkpoints = Path(os.environ.get("DVC_ROOT", ".")) / "checkpoints" / name
    checkpoints.parent.mkdir(parents=True, exist_ok=True)
    # Queued experiments that differ in decoding only are one training: the second waits, and trains anew.
    lock = FileLock(checkpoints.with_suffix(".lock"))
    if not launched(machine, "pipelines.train", meanwhile=lock):
        return
    leads = environment(machine).global_rank() == 0
    with lock if leads and LAUNCHED not in os.environ else nullcontext():
        train(mark, checkpoints, machine, leads=leads)


def train(mark: str, checkpoints: Path, machine: Machine, *, leads: bool) -> None:
    """Train what params.yaml describes, whose fingerprint is `mark`, keeping checkpoints in the folder given.

    Of several processes the one that `leads` writes everything.
    """
    seed, training = read("seed"), read("training")
    subwords = Subwords(SUBWORDS)
    data = ParallelData(
        ENCODED,
        tokens=training["tokens"],
        accumulate=training["accumulate"],
        workers=training["workers"],
        seed=seed,
        languages=("en", "fr"),
        segmentations=read("segmentation.each"),
    )
    torch.manual_seed(seed)
    network = build(read("model"), len(subwords))
    updates = machine.limit_updates or training["updates"]
    resume = checkpoints.exists()  # they are forgotten when a training has ended
    if leads:  # before there is a run: who is killed as it is made finds it again
        checkpoints.mkdir(exist_ok=True)
    with open_runs().train(*identity(mark), tags(), resume=resume, leads=leads) as run:
        curves = Curves(checkpoints / "curves.jsonl") if leads else None
        run.metrics({"parameters": sum(weight.numel() for weight in network.parameters())}, step=0)
        note_data(run, "train", context="training", rows=data.pairs)
        note_data(run, "val", context="validation", rows=len(data.val))
        judge = validation(subwords, torch.device(machine.device()), run, training["validation"])
        best = fit(
            module(network, judge, updates),
            data,
            course=learning.course(training, updates),
            machine=machine,
            checkpoints=checkpoints,
            loggers=[RunLogger(run), curves] if curves else [],
        )
        if not curves:
            return
        write_outs(network, subwords, mark, curves, best)
        keep_snapshots(checkpoints / MOMENTS)
        run.artifact(PARAMETERS)
        run.artifact(MODEL, "model")
    forget(checkpoints)


if __name__ == "__main__":
    main()
