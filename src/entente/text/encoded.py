"""A side of a corpus as ids: one flat memory-mapped array, and the offsets of its rows."""

from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from entente.errors import EntenteError

_BLOCK = 1 << 20  # offsets read at a time
_LONGEST = int(np.iinfo(np.uint16).max)  # ids of a sentence: lengths are kept in memory, of every sentence


def paths(stem: Path) -> tuple[Path, Path]:
    """Return the files of ids and of offsets that belong to `stem`."""
    return stem.with_name(f"{stem.name}.ids.npy"), stem.with_name(f"{stem.name}.offsets.npy")


def _numbers(path: Path, *, is_mapped: bool) -> npt.NDArray[Any]:
    """Open a .npy file of one row of whole numbers."""
    try:
        found = np.lib.format.open_memmap(path, mode="r") if is_mapped else np.load(path)
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise ValueError(f"{found.ndim} dimensions of {found.dtype}")
    except FileNotFoundError as error:
        raise EntenteError(f"{path} is missing: `dvc repro encode` makes it") from error
    except (ValueError, EOFError, OverflowError, MemoryError, TokenError, SyntaxError) as error:
        raise EntenteError(f"{path} is damaged ({error}): `dvc repro -f encode` makes it anew") from error
    return found


def _lengths(path: Path, offsets: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return what lies between the offsets of a file, reading it: a page of a map counts as memory of ours."""
    lengths = np.empty(max(0, len(offsets) - 1), np.uint16)
    if not len(offsets) or offsets[0] or not isinstance(offsets, np.memmap):
        raise _damaged(path)
    for start in range(0, len(lengths), _BLOCK):
        first = offsets.offset + start * offsets.itemsize
        many = min(_BLOCK + 1, len(offsets) - start)  # the file may hold more than it says
        between = np.diff(np.fromfile(path, offsets.dtype, many, offset=first))
        if (between < 0).any():
            raise _damaged(path)
        if (between > _LONGEST).any():
            raise EntenteError(f"{path}: a sentence has {between.max()} ids, more than {_LONGEST}: leave it out")
        lengths[start : start + _BLOCK] = between
    return lengths


def _damaged(path: Path) -> EntenteError:
    return EntenteError(f"{path} is damaged: `dvc repro -f encode` makes it anew")


class Encoded(Sequence[npt.NDArray[Any]]):
    """The rows that `encode` wrote at `stem`, read from disk as they are asked for.

    `lengths` (N,) uint16 counts each sentence's ids, EOS among them. Raises EntenteError where the files are
    missing or do not belong together.
    """

    def __init__(self, stem: Path) -> None:
        """Open `stem`.ids.npy and `stem`.offsets.npy without reading the ids."""
        self.stem = stem
        ids_path, offsets_path = paths(stem)
        offsets = _numbers(offsets_path, is_mapped=True)
        self.lengths: npt.NDArray[np.uint16] = _lengths(offsets_path, offsets)
        self._offsets: npt.NDArray[np.int64] = np.asarray(offsets)
        # An empty file cannot be mapped. A view of the map as a plain array is cut into five times as fast.
        self._ids: npt.NDArray[Any] = np.asarray(_numbers(ids_path, is_mapped=bool(self._offsets[-1])))
        if len(self._ids) != self._offsets[-1]:
            raise EntenteError(
                f"{ids_path} holds {len(self._ids)} ids and {offsets_path} expects {self._offsets[-1]}: "
                "`dvc repro -f encode` makes both anew"
            )

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
