"""Kill it at any moment, run it again: the same bytes, hardly anything learnt twice, and nothing twice in the store."""

import json
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from entente.errors import EntenteError
from entente.tracking.store import root
from pipelines.soaks.repository import STAGES, Points, Repository, kill, twice, working
from pipelines.soaks.thimble import THIMBLE

UPDATES, EVERY = 300, 20  # of the training, and between its checkpoints
OPTIONS = (
    *THIMBLE,
    f"trainer.limit_updates={UPDATES}",
    f"training.checkpoint_every={EVERY}",
    "training.validation.every=100",
    "training.log_every=1",
    "training.snapshots=2",
    "tracking.flush_every_seconds=0.5",
)
A_ROUND = dict.fromkeys(STAGES[1:], 1) | {"train": 5, "evaluate": 2}  # kills, before the outs are compared
PAUSE = 0.002  # seconds between two looks
BAR = re.compile(r"training: .*?(\d+)/(\d+) ")

Moment = Callable[[Repository], bool]  # says whether it is now; asked again and again from the start on


@dataclass
class Kill:
    """A kill: the stage, whether it ran itself (or DVC alone, before or after it), and what a training had to repeat.

    `updates` are those that were logged when it came, `repeated` those that were made again. Where `ended`, the
    training had, and its checkpoints were forgotten; it is begun `anew` if DVC had not taken notice yet. `mended` are
    DVC's own files that had to be put right by hand.
    """

    stage: str
    working: bool
    updates: int = 0
    repeated: int | None = None
    ended: bool = False
    anew: bool = False
    mended: list[str] = field(default_factory=list)


@dataclass
class Round:
    """A pipeline from its start to its end: the kills on the way, and what is not as in the undisturbed one."""

    kills: list[Kill] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


def after(seconds: float) -> Moment:
    """Return the moment so long after the start."""
    due = None

    def is_now(repository: Repository) -> bool:
        nonlocal due
        due = due or time.monotonic() + seconds
        return time.monotonic() >= due

    return is_now


def at_update(update: int) -> Moment:
    """Return the moment when so many updates are logged."""
    return lambda repository: updates(repository) >= update


def at_draft(repository: Repository) -> bool:
    """Say whether an out is being written."""
    return bool(repository.drafts())


def once_there(name: str) -> Moment:
    """Return the moment when a file is there."""
    return lambda repository: (repository.folder / name).exists()


def updates(repository: Repository) -> int:
    """Return how many updates the interrupted training has logged."""
    for file in repository.folder.glob("checkpoints/*/curves.jsonl"):
        lines = file.read_bytes().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["step"]) + 1 if lines else 0
    return 0


@dataclass(frozen=True)
class Undisturbed:
    """What a pipeline that nobody kills puts out and tracks, and the seconds that each stage takes."""

    outs: Mapping[str, str]
    points: Points
    seconds: Mapping[str, float]

    def differences(self, repository: Repository, trainings: int) -> Iterator[str]:
        """Yield what is otherwise in a repository in which a training was begun so many times."""
        outs = repository.outs()
        yield from (name for name in sorted({*self.outs, *outs}) if self.outs.get(name) != outs.get(name))
        yield from (f"{draft} was left" for draft in repository.drafts())
        runs = repository.runs()
        if len(runs) != trainings:
            yield f"{len(runs)} tracking runs, expected {trainings}"
        yield from (f"tracked twice: {name}, {count} steps" for run in runs for name, count in twice(run).items())
        if self.points not in runs:
            yield "the tracking run"


def undisturbed(repository: Repository, log: Path) -> Undisturbed:
    """Run every stage once, and look at what there is."""
    seconds = {stage: repository.finish(stage, log) for stage in STAGES}
    (points,) = repository.runs()
    return Undisturbed(repository.outs(), points, seconds)


def disturbed(
    repository: Repository, expected: Undisturbed, moments: Mapping[str, Sequence[Moment]], log: Path
) -> Round:
    """Run every stage, killing it at its moments one after another before it may end, and compare."""
    found = Round()
    for stage in STAGES:
        for moment in moments.get(stage, ()):
            if not (one := strike(repository, stage, moment, log)):
                break  # it had ended before
            note_repeated(found.kills, log)
            if found.kills and not drawn(log) and one.stage == "train":
                # Killed before one could see whether the training begins anew.
                one.ended |= found.kills[-1].ended
            found.kills.append(one)
        else:
            repository.finish(stage, log)
            note_repeated(found.kills, log)
    trainings = 1 + sum(one.anew for one in found.kills)
    found.different = list(expected.differences(repository, trainings))
    for one in found.kills:
        if one.repeated is not None and one.repeated > EVERY and not one.anew:
            found.different.append(f"{one.repeated} updates were made again")
    return found


def strike(repository: Repository, stage: str, moment: Moment, log: Path) -> Kill | None:
    """Start a stage and kill it at a moment; None where it ended before. EntenteError where it failed."""
    process = repository.start(stage, log)
    try:
        while process.poll() is None and not moment(repository):
            time.sleep(PAUSE)
        running = working(process)
    finally:
        kill(process)
    if process.returncode > 0:
        raise EntenteError(f"{stage} failed: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
    if process.returncode == 0:
        return None
    found = Kill(running or stage, running is not None)
    if repository.dvc:
        found.mended = repository.mend()
    if found.stage == "train":
        found.updates = updates(repository)
        found.ended = drawn(log)[-1:] == [UPDATES] and not found.updates
    return found


def note_repeated(kills: Sequence[Kill], log: Path) -> None:
    """Where a training has just been taken up, note what its last kill had cost."""
    if kills and kills[-1].stage == "train" and (bar := drawn(log)):
        last = kills[-1]
        last.anew = last.ended and bar[0] < UPDATES
        last.repeated = UPDATES if last.anew else last.updates - bar[0]


def drawn(log: Path) -> list[int]:
    """Return how far the training was whenever its bar was drawn: where it was taken up first."""
    return [int(done) for done, _ in BAR.findall(log.read_text(encoding="utf-8", errors="replace"))]


def plan(stage: str, seconds: float, chance: random.Random) -> Moment:
    """Draw a moment of a stage that takes so many seconds."""
    kinds: dict[str, tuple[Moment, float]] = {
        "time": (after(chance.uniform(0.1, 1) * seconds), 2),
        "draft": (at_draft, 1),
    }
    if stage == "train":
        kinds["update"] = at_update(chance.randint(1, UPDATES)), 5
    moments, weights = zip(*kinds.values(), strict=True)
    return chance.choices(moments, weights)[0]


def soak(folder: Path, times: int, seed: int, *, dvc: bool) -> list[Round]:
    """Kill so many times at moments drawn by `seed`, in pipelines one after another in new folders below `folder`."""
    chance, log = random.Random(seed), folder / "log.txt"
    first = Repository(folder / "undisturbed", dvc)
    first.furnish(root(), OPTIONS)
    expected = undisturbed(first, log)
    rounds: list[Round] = []
    with tqdm(desc="killing", total=times, unit=" kills") as bar:
        while (left := times - sum(len(one.kills) for one in rounds)) > 0:
            stages = [stage for stage, count in A_ROUND.items() for _ in range(count)]
            chosen = sorted(chance.sample(stages, min(left, len(stages))), key=STAGES.index)
            moments: dict[str, list[Moment]] = {}
            for stage in chosen:
                moments.setdefault(stage, []).append(plan(stage, expected.seconds[stage], chance))
            place = Repository(folder / f"round {len(rounds) + 1}", dvc)
            place.furnish(first.folder, ())  # the sources that were run, which may be edited meanwhile
            rounds.append(disturbed(place, expected, moments, log))
            bar.update(len(rounds[-1].kills))
            if not rounds[-1].different:
                shutil.rmtree(place.folder)
    return rounds


def rows(rounds: Sequence[Round]) -> list[list[str]]:
    """Return the table: of each stage its kills, how many met DVC alone, what was repeated, and whether all is well."""
    header = [
        "stage",
        "kills",
        "of DVC alone",
        "DVC's files mended",
        "updates made again",
        "trained anew",
        "same bytes",
    ]
    found = [header]
    for stage in STAGES[1:]:
        ours = [(one, not round_.different) for round_ in rounds for one in round_.kills if one.stage == stage]
        again = [one.repeated for one, _ in ours if one.repeated is not None and not one.anew]
        repeated = f"{sum(again)} in all, {max(again)} at most" if again else ""
        alone, anew = sum(not one.working for one, _ in ours), sum(one.anew for one, _ in ours)
        same = "yes" if all(well for _, well in ours) else "NO"
        mended = sum(len(one.mended) for one, _ in ours)
        found.append([stage, str(len(ours)), str(alone), str(mended), repeated, str(anew), same])
    return found
