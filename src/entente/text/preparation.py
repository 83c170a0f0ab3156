"""From what was downloaded to clean, split, aligned text: two passes, the second over a file on disk."""

import html
import json
import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field
from tqdm import tqdm

from entente.errors import EntenteError
from entente.options import FileName
from entente.text.archives import open_text
from entente.text.cleaning import REASONS, Cleaning, key, normalise
from entente.text.corpus import aligned, decoded, read_json_lines, replacing_folder
from entente.text.parallel import by_block
from entente.text.splits import TEST, TRAIN, VAL, Hashes, Places, Split, duplicates, stable_hash

Pair = tuple[str, str]
Row = tuple[str, list[str]]  # a source sentence and its references

_DROPPED = 255
_BLOCK = 60_000  # pairs that travel to a process at a time
_SEGMENT = re.compile(r"<seg\b[^>]*>(.*)</seg>")


@dataclass(frozen=True)
class Text:
    """Where a side of a split, or both sides, stand among the downloaded files."""

    file: FileName
    member: str | None  # of a .zip, .tar or .tgz
    # [en, fr]: parted by tabs, columns beyond are ignored; [en] or [fr]: the whole line
    columns: Annotated[Sequence[str], Field(min_length=1)]
    split: str | None  # train, val or a test, as published; None: a corpus that is ours to divide

    def __post_init__(self) -> None:
        """Refuse columns that are no sides of a corpus."""
        sides = [column for column in self.columns if column in ("en", "fr")]
        if len(sides) != len(set(sides)) or len(sides) != min(2, len(self.columns)):
            raise EntenteError(
                f"corpus.texts: the columns of {self.file} are {', '.join(self.columns)}; write [en, fr], with what "
                "else its lines have, or [en] or [fr] for a file of one side"
            )


def segments(lines: Iterable[str]) -> Iterator[str]:
    """Yield the sentences of a test set as WMT publishes them: one on a line, between <seg> and </seg>."""
    for line in lines:
        if found := _SEGMENT.search(line):
            yield html.unescape(found[1])


def prepare(
    raw: Path,
    out: Path,
    *,
    texts: Sequence[Text],
    tests: Sequence[str],
    probes: str | None,
    cleaning: Cleaning,
    split: Split | None,
    processes: int = 1,
) -> dict[str, Any]:
    """Write {split}.{en,fr}, and but for train {split}.references.jsonl, into the folder `out`; return the tally.

    What is learnt from, and what `split` divides, is cleaned; published val and tests are only normalised, so
    that scores stay comparable. Raises EntenteError for sides that do not match, bytes that are not UTF-8, an
    empty corpus and one of which cleaning leaves nothing; `out` then stays as it was. Nothing depends on `processes`.
    """
    if (split is not None) != any(text.split is None for text in texts):
        raise EntenteError("corpus.split must divide exactly those corpora of which a text names no split (null)")
    learnt = [text for text in texts if text.split in (None, "train")]
    judged = dict.fromkeys(["val", *tests])  # a search may be judged by val alone: the test is then held out unread
    published, divided = (judged, ()) if split is None else ((), judged)
    with replacing_folder(out) as folder, tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder) as file:
        pool = _Pool(_pairs(raw, learnt, "train"), cleaning, file, processes)
        places = pool.places(split)
        held: tuple[dict[str, list[str]], ...] = ({}, {})
        _write_train(folder, pool.read_again(places), held)
        train = _Train(pool, places)
        tally: dict[str, Any] = {"read": pool.read, "dropped": pool.dropped, "train": {"pairs": train.pairs}}
        for name, sentences in zip(divided, held, strict=False):
            # A published file may be sorted (Tatoeba's is, by length): shuffled, any first N are a sample.
            rows = sorted(sentences.items(), key=lambda row: stable_hash(row[0]))
            tally[name] = _write_rows(folder, name, rows) | train.overlap(rows)
        for name in published:
            here = [text for text in texts if text.split == name]
            rows = [(source, [target]) for source, target in map(_normalised, _pairs(raw, here, name))]
            unclean = sum(cleaning.complaint(source, target) is not None for source, [target] in rows)
            tally[name] = _write_rows(folder, name, rows) | train.overlap(rows) | {"unclean": unclean}
        if probes is not None:
            tally["probes"] = _copy_probes(raw / probes, folder / "probes.jsonl", train)
    return tally


class _Clean(NamedTuple):
    """Some pairs, cleaned: how many there were and why some are dropped; lines of both sides, and their hashes."""

    read: int
    complaints: Counter[str]
    lines: str
    pairs: "array[int]"
    sources: "array[int]"
    targets: "array[int]"


def _cleaner(cleaning: Cleaning) -> Callable[[int, list[Pair]], _Clean]:
    return partial(_clean, cleaning)


def _clean(cleaning: Cleaning, number: int, pairs: list[Pair]) -> _Clean:
    lines: list[str] = []
    found = _Clean(len(pairs), Counter(), "", array("Q"), array("Q"), array("Q"))
    for source, target in map(_normalised, pairs):
        if complaint := cleaning.complaint(source, target):
            found.complaints[complaint] += 1
            continue
        lines.append(f"{source}\t{target}\n")  # no side holds a tab: white space was normalised
        found.pairs.append(stable_hash(lines[-1]))
        found.sources.append(stable_hash(key(source)))
        found.targets.append(stable_hash(key(target)))
    return found._replace(lines="".join(lines))


class _Pool:
    """The pairs to learn from, cleaned, in a file on disk; in memory three 64-bit hashes of each."""

    def __init__(self, pairs: Iterable[Pair], cleaning: Cleaning, file: IO[str], processes: int) -> None:
        self._file = file
        self.read = 0
        counts = Counter[str]()
        pair_hashes, sources, targets = array("Q"), array("Q"), array("Q")
        read = tqdm(pairs, desc="cleaning", unit=" pairs", delay=2)
        for block in by_block(read, _BLOCK, _cleaner, cleaning, processes=processes):
            self.read += block.read
            counts.update(block.complaints)
            file.write(block.lines)
            pair_hashes.extend(block.pairs)
            sources.extend(block.sources)
            targets.extend(block.targets)
        self.kept = ~duplicates(np.asarray(pair_hashes))
        del pair_hashes  # memory is bounded by these arrays: none lives longer than it must
        self.source: Hashes = np.asarray(sources)[self.kept]
        del sources
        self.target: Hashes = np.asarray(targets)[self.kept]
        counts["duplicate"] = len(self.kept) - len(self.source)
        self.dropped = {reason: counts[reason] for reason in REASONS}

    def places(self, split: Split | None) -> Places:
        """Return the split of each pair that is kept; all are for training where there is no `split`."""
        if not len(self.source):
            if not self.read:
                raise EntenteError("the corpus is empty: its files hold no line")
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
            raise EntenteError(
                f"cleaning leaves nothing of {self.read} pairs ({reasons}): loosen corpus.cleaning, or look whether "
                "the right columns are read"
            )
        if split is None:
            return np.full(len(self.source), TRAIN, dtype=np.uint8)
        return split.assign(self.source, self.target)

    def read_again(self, places: Places) -> Iterator[tuple[int, str, str]]:
        """Yield place, source and target of each pair that is kept, in their first order."""
        every = np.full(len(self.kept), _DROPPED, dtype=np.uint8)
        every[self.kept] = places
        self._file.seek(0)
        for place, line in zip(tqdm(every, desc="writing", unit=" pairs", delay=2), self._file, strict=True):
            if place != _DROPPED:
                source, target = line.rstrip("\n").split("\t")
                yield int(place), source, target


class _Train:
    """What training shows, to tell how much of a test it gives away."""

    def __init__(self, pool: _Pool, places: Places) -> None:
        chosen = places == TRAIN
        self.pairs = int(chosen.sum())
        self._sources = np.sort(pool.source[chosen])
        self._targets = np.sort(pool.target[chosen])

    def overlap(self, rows: Sequence[Row]) -> dict[str, int]:
        """Count the rows whose source, or one of whose references, is in training but for case and punctuation."""
        return {
            "sources_in_train": sum(self._has(self._sources, source) for source, _ in rows),
            "targets_in_train": sum(any(self._has(self._targets, text) for text in texts) for _, texts in rows),
        }

    @staticmethod
    def _has(hashes: Hashes, sentence: str) -> bool:
        wanted = np.uint64(stable_hash(key(sentence)))
        place = int(np.searchsorted(hashes, wanted))
        return place < len(hashes) and bool(hashes[place] == wanted)


def _normalised(pair: Pair) -> Pair:
    return normalise(pair[0]), normalise(pair[1])


def _pairs(raw: Path, texts: Sequence[Text], split: str) -> Iterator[Pair]:
    """Yield the English and French sentences of `texts`: first where both share a file, then sides in step."""
    both = [text for text in texts if len(text.columns) > 1]
    sides = [[text for text in texts if list(text.columns) == [language]] for language in ("en", "fr")]
    if not texts or len(sides[0]) != len(sides[1]) or len(texts) != len(both) + 2 * len(sides[0]):
        raise EntenteError(
            f"corpus.texts must give split `{split}` texts with columns [en, fr], or as many with [en] as with [fr]"
        )
    for text in both:
        english, french = text.columns.index("en"), text.columns.index("fr")
        for number, line in enumerate(_lines(raw, text), start=1):
            fields = line.split("\t")
            if len(fields) < len(text.columns):
                raise EntenteError(
                    f"{raw / text.file}, line {number}: {len(fields)} columns parted by tabs, expected "
                    f"{', '.join(text.columns)}; mend the line, or corpus.texts"
                )
            yield fields[english], fields[french]
    for one, other in zip(*sides, strict=True):
        names = str(raw / one.file), str(raw / other.file)
        yield from aligned(_lines(raw, one), _lines(raw, other), names)


def _lines(raw: Path, text: Text) -> Iterator[str]:
    path = raw / text.file
    with open_text(path, text.member) as file:
        lines = decoded(file, f"{path}:{text.member}" if text.member else str(path))
        yield from segments(lines) if (text.member or text.file).endswith(".sgm") else lines


def _write_train(folder: Path, pairs: Iterable[tuple[int, str, str]], held: Sequence[dict[str, list[str]]]) -> None:
    """Write train.{en,fr}, and gather in `held` (val, test) the references of each source that is held out."""
    with ExitStack() as stack:
        sides = [stack.enter_context(_text(folder / f"train.{language}")) for language in ("en", "fr")]
        for place, source, target in pairs:
            if place == TRAIN:
                for side, sentence in zip(sides, (source, target), strict=True):
                    side.write(f"{sentence}\n")
            else:
                held[(VAL, TEST).index(place)].setdefault(source, []).append(target)


def _write_rows(folder: Path, split: str, rows: Sequence[Row]) -> dict[str, int]:
    if not rows:
        raise EntenteError(f"split `{split}` is empty: give it sentences (corpus.split, corpus.texts)")
    with (
        _text(folder / f"{split}.en") as english,
        _text(folder / f"{split}.fr") as french,
        _text(folder / f"{split}.references.jsonl") as references,
    ):
        for source, targets in rows:
            english.write(f"{source}\n")
            french.write(f"{targets[0]}\n")
            references.write(json.dumps(targets, ensure_ascii=False) + "\n")
    return {"sentences": len(rows), "references": sum(len(targets) for _, targets in rows)}


def _copy_probes(source: Path, target: Path, train: _Train) -> dict[str, int]:
    """Copy minimal pairs, normalised as the splits are; count those that training gives away."""
    probes = []
    sentences = ("source", "target", "foil")
    for place, probe in read_json_lines(source):
        if not isinstance(probe, dict) or not all(isinstance(probe.get(name), str) for name in sentences):
            raise EntenteError(f"{place}: expected an object with {', '.join(sentences)}; run `dvc repro -f download`")
        probes.append(probe | {name: normalise(probe[name]) for name in sentences})
    with _text(target) as file:
        file.writelines(json.dumps(probe, ensure_ascii=False) + "\n" for probe in probes)
    rows = [(probe["source"], [probe["target"]]) for probe in probes]
    return {"sentences": len(rows)} | train.overlap(rows)


def _text(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="\n")
