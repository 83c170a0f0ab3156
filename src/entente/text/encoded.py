"""A side of a corpus as ids: one flat memory-mapped array, and the offsets of its sentences."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, overload

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from entente.errors import EntenteError
from entente.text.corpus import read_lines, replacing
from entente.text.subwords import EOS, Subwords

_BLOCK = 20_000  # sentences that travel to a process at a time: a few megabytes
_AHEAD = 2  # blocks in flight per process, so that none waits and memory stays bounded


class _Block(NamedTuple):
    ids: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


def _paths(stem: Path) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}.ids.npy"), stem.with_name(f"{stem.name}.offsets.npy")


def encode(subwords_model: Path, text: Path, stem: Path, *, processes: int) -> int:
    """Write the ids of `text` to `stem`.ids.npy and `stem`.offsets.npy, and return the number of tokens.

    Sentence i of the N lines of `text` is ids[offsets[i]:offsets[i + 1]], ended by EOS and begun by nothing;
    ids are uint16, or int32 where the vocabulary is larger than that holds, offsets int64 (N + 1,). Memory is
    bounded whatever the length of `text`; the result does not depend on `processes`.
    """
    tokens = sentences = 0
    subwords = Subwords(subwords_model)  # complains here, once, where the model is missing or broken
    ids_path, offsets_path = _paths(stem)
    with ExitStack() as stack:
        ids_file = stack.enter_context(stack.enter_context(replacing(ids_path)).open("wb+"))
        offsets_file = stack.enter_context(stack.enter_context(replacing(offsets_path)).open("wb+"))
        ids_type = _ids_type(len(subwords))
        _write_header(ids_file, ids_type, 0)
        _write_header(offsets_file, np.dtype(np.int64), 0)
        offsets_file.write(np.zeros(1, dtype=np.int64).tobytes())
        bar = stack.enter_context(tqdm(desc=f"encoding {text}", unit=" sentences", unit_scale=True, delay=2))
        for block in _encoded_blocks(subwords, subwords_model, text, processes):
            ids_file.write(block.ids.tobytes())
            offsets_file.write((tokens + np.cumsum(block.lengths)).tobytes())
            tokens += len(block.ids)
            sentences += len(block.lengths)
            bar.update(len(block.lengths))
        _write_header(ids_file, ids_type, tokens)
        _write_header(offsets_file, np.dtype(np.int64), sentences + 1)
    return tokens


def _ids_type(vocabulary: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.int32)


def _write_header(file: BinaryIO, dtype: np.dtype[Any], length: int) -> None:
    """Write a .npy header at the start; NumPy pads it, so that a later length takes no more room."""
    file.seek(0)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, header)


def _encoded_blocks(subwords: Subwords, model: Path, text: Path, processes: int) -> Iterator[_Block]:
    lines = read_lines(text)
    blocks = iter(lambda: list(islice(lines, _BLOCK)), [])
    first = list(islice(blocks, 2))
    if processes == 1 or len(first) < 2:  # starting processes would take longer than the work
        for block in first:
            yield _encode_block(subwords, block)
        for block in blocks:
            yield _encode_block(subwords, block)
        return
    # spawn: forking a process in which threads run (tqdm's, torch's) may hang.
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start_process, (model,))
    try:
        waiting: deque[Future[_Block]] = deque(pool.submit(_encode_in_process, block) for block in first)
        for block in blocks:
            waiting.append(pool.submit(_encode_in_process, block))
            if len(waiting) > _AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:  # Ctrl-C too, perhaps while processes start: none may be left that we would wait for
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    pool.shutdown()


def _encode_block(subwords: Subwords, sentences: list[str]) -> _Block:
    rows = subwords.encode(sentences)
    for row in rows:
        row.append(EOS)
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    flat = (piece for row in rows for piece in row)
    return _Block(np.fromiter(flat, dtype=_ids_type(len(subwords)), count=int(lengths.sum())), lengths)


_process_subwords: Subwords  # of this process, loaded once when it starts


def _start_process(model: Path) -> None:
    global _process_subwords
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent's word is enough
    _process_subwords = Subwords(model)


def _encode_in_process(sentences: list[str]) -> _Block:
    return _encode_block(_process_subwords, sentences)


class Encoded(Sequence[npt.NDArray[Any]]):
    """The sentences that `encode` wrote at `stem`, read from disk as they are asked for.

    `lengths` (N,) int32 counts each sentence's ids, EOS among them. Raises EntenteError where the files are
    missing or do not belong together.
    """

    def __init__(self, stem: Path) -> None:
        """Open `stem`.ids.npy and `stem`.offsets.npy without reading the ids."""
        self.stem = stem
        ids_path, offsets_path = _paths(stem)
        try:
            self._offsets: npt.NDArray[np.int64] = np.load(offsets_path)
            # An empty file cannot be mapped. A view of the map as a plain array is cut into five times as fast.
            self._ids: npt.NDArray[Any] = np.asarray(np.load(ids_path, mmap_mode="r" if self._offsets[-1] else None))
        except FileNotFoundError as error:
            raise EntenteError(f"{error.filename} is missing: `dvc repro encode` makes it") from error
        except (ValueError, EOFError) as error:
            raise EntenteError(f"{stem}.*.npy are damaged ({error}): `dvc repro -f encode` makes them anew") from error
        if len(self._ids) != self._offsets[-1]:
            raise EntenteError(
                f"{ids_path} holds {len(self._ids)} ids and {offsets_path} expects {self._offsets[-1]}: "
                "`dvc repro -f encode` makes both anew"
            )
        self.lengths: npt.NDArray[np.int32] = np.diff(self._offsets).astype(np.int32)

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> npt.NDArray[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[npt.NDArray[Any]]: ...

    def __getitem__(self, index: int | slice) -> npt.NDArray[Any] | list[npt.NDArray[Any]]:
        """Return the ids (L,) of a sentence, EOS last, as a view of the file; a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self._ids[self._offsets[index] : self._offsets[index + 1]]

    def __reduce__(self) -> tuple[type["Encoded"], tuple[Path]]:
        """Travel to another process as the path: pickling a memory map would send the ids."""
        return type(self), (self.stem,)
