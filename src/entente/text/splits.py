"""Which pair goes to which split, decided on 64-bit hashes: a few numbers a pair, whatever the sentences' length.

Pairs that share an English or a French side hang together; a component of them goes to one split whole, or the
test would ask for sentences that training has shown. With the arrays that callers hold, at most 48 bytes a pair.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from entente.errors import EntenteError
from entente.options import Count

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.uint8]

TRAIN, VAL, TEST = range(3)
UNITS = ("component", "pair")


def stable_hash(text: str) -> int:
    """Return 64 bits of BLAKE2b: the same in every process, on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def duplicates(pairs: Hashes) -> npt.NDArray[np.bool_]:
    """Mark (N,) every occurrence of a value but its first."""
    order = np.argsort(pairs, kind="stable")
    ordered = pairs[order]
    repeats = ordered[1:] == ordered[:-1]
    marks = np.zeros(len(pairs), dtype=np.bool_)
    marks[order[1:][repeats]] = True
    return marks


def components(source: Hashes, target: Hashes) -> npt.NDArray[np.int32]:
    """Label each pair (N,) with the first pair of its connected component.

    Two pairs hang together if they share a source or a target, or if a chain of such pairs joins them. The
    smallest label spreads over each shared side in turn, with short cuts (Shiloach and Vishkin 1982).
    """
    sides = [_groups(source), _groups(target)]
    labels = np.arange(len(source), dtype=np.int32)
    while True:
        before = labels.copy()
        for order, starts in sides:
            smallest = np.minimum.reduceat(labels[order], starts)
            labels[order] = np.repeat(smallest, np.diff(starts, append=np.int32(len(order))))
        labels = labels[labels]
        if np.array_equal(labels, before):
            return labels


def _groups(side: Hashes) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return an order of the pairs that puts equal sides together, and where in it each group starts."""
    order = np.argsort(side).astype(np.int32)
    changes = side[order[1:]] != side[order[:-1]]
    return order, np.flatnonzero(np.concatenate([[True], changes])).astype(np.int32)


@dataclass(frozen=True)
class Split:
    """How a corpus without official splits is divided. `val` and `test` are expected numbers of pairs."""

    unit: str  # component: no side stands in two splits; pair: scattered one by one, which leaks
    val: Count
    test: Count
    largest: Annotated[float, Field(gt=0, le=1)]  # a component of more than this share of the pairs goes to training

    def __post_init__(self) -> None:
        """Refuse an unknown unit."""
        if self.unit not in UNITS:
            raise EntenteError(f"corpus.split.unit is `{self.unit}`: choose one of {', '.join(UNITS)}")

    def assign(self, source: Hashes, target: Hashes) -> Places:
        """Return TRAIN, VAL or TEST for each pair (N,), from the hashes of its normalised sides.

        A component's smallest side hash decides, so that a corpus that grows leaves most of them in place. Raises
        EntenteError where less than twice `val` + `test` pairs may be held out.
        """
        if self.unit == "component":
            labels, values = components(source, target), np.minimum(source, target)
        else:
            labels, values = np.arange(len(source), dtype=np.int32), source ^ _mixed(target)
        free = np.bincount(labels, minlength=len(labels))[labels] <= max(1, self.largest * len(labels))
        room = int(free.sum())
        if 2 * (self.val + self.test) > room:
            raise EntenteError(
                f"corpus.split asks for {self.val} + {self.test} pairs of val and test, more than half of the {room} "
                "that may be held out: lower corpus.split.val and corpus.split.test, or use a larger corpus"
            )
        drawn = _mixed(_smallest(labels, values)) / 2.0**64 * room  # uniform in [0, room)
        places = np.full(len(source), TRAIN, dtype=np.uint8)
        places[free & (drawn < self.val + self.test)] = TEST
        places[free & (drawn < self.val)] = VAL
        return places


def _smallest(labels: npt.NDArray[np.int32], values: Hashes) -> Hashes:
    """Return for each pair the smallest value of its component."""
    smallest = np.full(len(labels), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, labels, values)
    result: Hashes = smallest[labels]
    return result


def _mixed(values: Hashes) -> Hashes:
    """Return other hashes, spread evenly (splitmix64): the smallest of several hashes is not, and favours splits."""
    mixed: npt.NDArray[Any] = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
