"""What a configuration holds: its groups, and the keys of those that no class of the library has for arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from entente.errors import EntenteError
from entente.options import Count, FileName, Natural, Option, Positive, Share, checked

TURNED = "_turned"  # ends the name of a corpus that is read from French into English
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Corpus:
    """Where a corpus comes from, and what of it is learnt from and judged by."""

    name: FileName
    download: Option
    tests: Annotated[Sequence[FileName], Field(min_length=1)]
    probes: FileName | None
    texts: Annotated[Sequence[Option], Field(min_length=1)]
    split: Option | None
    cleaning: Option

    def __post_init__(self) -> None:
        """Refuse tests of which one would be written over another, or over what is learnt from."""
        # A search may be judged by val.
        twice = {name for name in self.tests if self.tests.count(name) > 1} | {"train"} & set(self.tests)
        if twice:
            raise EntenteError(
                f"corpus.tests names {', '.join(sorted(twice))} twice, or as what is learnt from: "
                "name each test once, and not train"
            )
        if self.split is not None and len(set(self.tests) - {"val"}) > 1:
            raise EntenteError(
                f"corpus.tests names {', '.join(self.tests)}, but corpus.split divides off val and one test: name one"
            )


@dataclass(frozen=True)
class Validation:
    """How a training is judged while it goes on."""

    max_length_factor: Annotated[float, Field(ge=0)]
    max_length_offset: Count
    samples: Natural
    every: Count
    sentences: Count
    patience: Count


@dataclass(frozen=True)
class Training:
    """How long and how fast a network learns."""

    loss: Option
    optimizer: Option
    schedule: Option
    averaging: Option | None
    validation: Validation
    smoothing: Share
    clip: Positive
    checkpoint_every: Count
    log_every: Count
    workers: Natural
    snapshots: Natural
    tokens: Count
    accumulate: Count
    updates: Count

    def __post_init__(self) -> None:
        """Refuse a rise of the learning rate that does not end."""
        warmup = self.schedule.get("warmup")
        if isinstance(warmup, int) and warmup > self.updates:
            raise EntenteError(
                f"training.schedule.warmup is {warmup}, but training.updates {self.updates}: the rate would never "
                "reach its peak; choose fewer updates of warm-up, or train for longer"
            )


@dataclass(frozen=True)
class Dissection:
    """By how much a network is judged without each of its parts."""

    sentences: Count
    probes: Count


@dataclass(frozen=True)
class Evaluation:
    """What is looked at beside the scores."""

    length_bounds: Annotated[Sequence[Count], Field(min_length=1)]
    sentences: Annotated[Sequence[Text], Field(min_length=1)]
    dissection: Dissection

    def __post_init__(self) -> None:
        """Refuse bounds between which no length is."""
        if list(self.length_bounds) != sorted(set(self.length_bounds)):
            raise EntenteError(
                f"evaluation.length_bounds are {list(self.length_bounds)}: let each be larger than the last"
            )


@dataclass(frozen=True)
class Tracking:
    """Where and how often a run is written."""

    experiment: Text
    flush_every_seconds: Positive
    system_metrics_every_seconds: Positive


def _apart(names: Sequence[str]) -> Sequence[str]:
    if len({*names}) < len(names):
        raise ValueError("it should name each text once")
    return names


GROUPS: Mapping[str, Any] = {
    "corpus": Corpus,
    "subwords": Option,
    "segmentation": Option,
    "synthetic": Annotated[Sequence[FileName], AfterValidator(_apart)],
    "model": Option,
    "training": Training,
    "trainer": Option,
    "decoding": Option,
    "evaluation": Evaluation,
    "tracking": Tracking,
    "seed": Annotated[int, Field(ge=0, lt=2**63)],
    "rnn_width": Count,
}


def check(parameters: Mapping[str, Any]) -> None:
    """Raise EntenteError where a configuration has not the groups that it should, or a group not its keys."""
    if missing := [group for group in GROUPS if group not in parameters]:
        raise EntenteError(f"the configuration lacks {', '.join(missing)}; conf/config.yaml has all groups")
    for group, value in parameters.items():
        check_group(group, value)


def check_group(group: str, value: object) -> None:
    """Raise EntenteError where a group has not what it should. What is an Option is checked where it is constructed."""
    if group not in GROUPS:
        raise EntenteError(f"the configuration has no group {group}; it has {', '.join(GROUPS)}")
    checked(GROUPS[group], value, group)
