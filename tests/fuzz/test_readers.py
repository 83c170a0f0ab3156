"""A little of what `python -m tests.fuzz` does, each time: good inputs, spoilt at random."""

import contextlib
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entente.errors import EntenteError
from tests.fuzz.readers import READERS, Reader, bounded_memory

# A place, as a share of the whole; how many bytes go there; what comes.
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 4) | st.integers(0, 10_000), st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module", params=READERS)
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = READERS[request.param](tmp_path_factory.mktemp(request.param))
    with bounded_memory():
        yield made


def spoilt(content: bytes, edits: Sequence[tuple[float, int, bytes]]) -> bytes:
    for place, length, new in edits:
        start = round(place * len(content))
        content = content[:start] + new + content[start + length :]
    return content


def test_what_is_good_is_read(reader: Reader) -> None:
    for seed in reader.seeds:
        reader.read(seed)


@settings(max_examples=20)
@given(st.data(), EDITS)
def test_what_is_spoilt_is_read_or_refused_in_words(
    reader: Reader, data: st.DataObject, edits: list[tuple[float, int, bytes]]
) -> None:
    with contextlib.suppress(EntenteError):
        reader.read(spoilt(data.draw(st.sampled_from(reader.seeds)), edits))
