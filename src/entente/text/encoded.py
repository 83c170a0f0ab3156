"""A side of a corpus as ids: one flat memory-mapped array, and the offsets of its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from entente.errors import EntenteError


def paths(stem: Path) -> tuple[Path, Path]:
    """Return the files of ids and of offsets that belong to `stem`."""
    return stem.with_name(f"{stem.name}.ids.npy"), stem.with_name(f"{stem.name}.offsets.npy")


class Encoded(Sequence[npt.NDArray[Any]]):
    """The rows that `encode` wrote at `stem`, read from disk as they are asked for.

    `lengths` (N,) int32 counts each sentence's ids, EOS among them. Raises EntenteError where the files are
    missing or do not belong together.
    """

    def __init__(self, stem: Path) -> None:
        """Open `stem`.ids.npy and `stem`.offsets.npy without reading the ids."""
        self.stem = stem
        ids_path, offsets_path = paths(stem)
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
