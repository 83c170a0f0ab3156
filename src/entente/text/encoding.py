"""From text to the files that `Encoded` reads, in several processes and in bounded memory."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from entente.text.corpus import read_lines, replacing
from entente.text.encoded import paths
from entente.text.parallel import by_block
from entente.text.segmentation import BEST, Sampler, Segmentation
from entente.text.subwords import EOS, Subwords

_BLOCK = 20_000  # sentences that travel to a process at a time: a few megabytes


class _Block(NamedTuple):
    ids: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


def encode(
    subwords_model: Path,
    text: Path,
    stem: Path,
    *,
    processes: int,
    segmentation: Segmentation = BEST,
    beside: Sequence[Path] = (),
) -> int:
    """Write the ids of `text` to `stem`.ids.npy and `stem`.offsets.npy, and return the number of tokens.

    Each of the N lines of `text`, and of the texts `beside` it, is there `each` times, one after another, the best
    segmentation first. Row i of the N x each is ids[offsets[i]:offsets[i + 1]], ended by EOS and begun by nothing; ids
    are uint16, or int32 where the vocabulary is larger than that holds, offsets int64. Memory is bounded whatever the
    length of `text`; the result does not depend on `processes`.
    """
    tokens = sentences = 0
    subwords = Subwords(subwords_model)  # complains here, once, where the model is missing or broken
    ids_path, offsets_path = paths(stem)
    with ExitStack() as stack:
        ids_file = stack.enter_context(stack.enter_context(replacing(ids_path)).open("wb+"))
        offsets_file = stack.enter_context(stack.enter_context(replacing(offsets_path)).open("wb+"))
        ids_type = _ids_type(len(subwords))
        _write_header(ids_file, ids_type, 0)
        _write_header(offsets_file, np.dtype(np.int64), 0)
        offsets_file.write(np.zeros(1, dtype=np.int64).tobytes())
        bar = stack.enter_context(tqdm(desc=f"encoding {text}", unit=" sentences", unit_scale=True, delay=2))
        lines = chain.from_iterable(map(read_lines, (text, *beside)))
        for block in by_block(lines, _BLOCK, _encoder, subwords_model, segmentation, processes=processes):
            ids_file.write(block.ids.tobytes())
            offsets_file.write((tokens + np.cumsum(block.lengths)).tobytes())
            tokens += len(block.ids)
            sentences += len(block.lengths)
            bar.update(len(block.lengths) / segmentation.each)
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


def _encoder(model: Path, segmentation: Segmentation) -> Callable[[int, list[str]], _Block]:
    return partial(_encode_block, Sampler(Subwords(model), segmentation.alpha), segmentation.each)


def _encode_block(sampler: Sampler, each: int, number: int, sentences: list[str]) -> _Block:
    cut = [sampler.subwords.encode(sentences)]
    for time in range(1, each):
        cut.append(sampler.draw(sentences, np.random.default_rng((number, time))))
    rows = [row for same in zip(*cut, strict=True) for row in same]
    for row in rows:
        row.append(EOS)
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    flat = (piece for row in rows for piece in row)
    return _Block(np.fromiter(flat, dtype=_ids_type(len(sampler.subwords)), count=int(lengths.sum())), lengths)
