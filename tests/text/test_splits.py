import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import EntenteError
from entente.text.splits import TEST, TRAIN, VAL, Hashes, Split, components, duplicates, stable_hash


def hashed(words: list[str]) -> Hashes:
    return np.array([stable_hash(word) for word in words], dtype=np.uint64)


def random_sides(pairs: int, distinct: int, seed: int) -> tuple[Hashes, Hashes]:
    chance = np.random.default_rng(seed)
    english, french = (chance.integers(0, distinct, pairs) for _ in range(2))
    return hashed([f"en{number}" for number in english]), hashed([f"fr{number}" for number in french])


def test_hashes_are_the_same_in_every_process_and_version() -> None:
    assert stable_hash("été") == 0xD8205061B72151BC  # another value would move every sentence of every split


def test_every_occurrence_but_the_first_is_a_duplicate() -> None:
    marks = duplicates(hashed(["b", "a", "b", "c", "a", "b"]))
    assert marks.tolist() == [False, False, True, False, True, True]
    assert duplicates(hashed([])).tolist() == []


def test_a_chain_of_shared_sides_is_one_component() -> None:
    # 0-1 share an English side, 1-3 a French one, 3-5 an English one; 2 and 4 stand alone.
    source = hashed(["a", "a", "x", "b", "y", "b"])
    target = hashed(["1", "2", "8", "2", "9", "3"])
    assert components(source, target).tolist() == [0, 0, 2, 0, 4, 0]


# Pairs of a corpus by the numbers of their sides, of which many are shared.
PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=12)


def sides(pairs: list[tuple[int, int]]) -> tuple[Hashes, Hashes]:
    return hashed([f"en{one}" for one, _ in pairs]), hashed([f"fr{other}" for _, other in pairs])


@given(PAIRS)
def test_components_are_those_of_a_plain_search(pairs: list[tuple[int, int]]) -> None:
    source, target = sides(pairs)
    neighbours: dict[tuple[int, int], list[int]] = {}
    for pair, both in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        for side in enumerate(both):
            neighbours.setdefault(side, []).append(pair)
    labels = [-1] * len(source)
    for first in range(len(source)):
        waiting = [first] if labels[first] < 0 else []
        while waiting:
            pair = waiting.pop()
            if labels[pair] < 0:
                labels[pair] = first
                waiting += neighbours[0, int(source[pair])] + neighbours[1, int(target[pair])]
    assert components(source, target).tolist() == labels


@given(PAIRS, st.integers(1, 3), st.integers(1, 3))
def test_splits_by_component_share_no_side(pairs: list[tuple[int, int]], val: int, test: int) -> None:
    source, target = sides(pairs)
    places = Split("component", val=val, test=test, largest=1.0).assign(source, target)
    assert len(places) == len(pairs)
    assert set(places.tolist()) <= {TRAIN, VAL, TEST}
    for side in (source, target):
        shown = [set(side[places == place].tolist()) for place in (TRAIN, VAL, TEST)]
        assert sum(map(len, shown)) == len(set().union(*shown))


def test_splits_by_pair_share_sides() -> None:
    source, target = random_sides(4000, 1000, seed=1)
    places = Split("pair", val=200, test=400, largest=0.02).assign(source, target)
    assert set(source[places == TEST].tolist()) & set(source[places == TRAIN].tolist())


@pytest.mark.parametrize("unit", ["component", "pair"])
def test_splits_have_about_the_size_asked_for(unit: str) -> None:
    source, target = random_sides(20_000, 1_000_000, seed=2)
    sizes = np.bincount(Split(unit, val=1000, test=3000, largest=0.001).assign(source, target), minlength=3)
    assert sizes[VAL] == pytest.approx(1000, rel=0.15)  # more than four standard deviations
    assert sizes[TEST] == pytest.approx(3000, rel=0.1)


def test_a_large_component_goes_to_training() -> None:
    source = hashed(["hub"] * 500 + [f"en{i}" for i in range(500)])
    target = hashed([f"fr{i}" for i in range(1000)])
    places = Split("component", val=50, test=150, largest=0.4).assign(source, target)
    assert set(places[:500].tolist()) == {TRAIN}
    assert set(places[500:].tolist()) == {TRAIN, VAL, TEST}


@given(st.data(), PAIRS, st.sampled_from(["component", "pair"]))
def test_the_order_of_the_corpus_changes_no_place(data: st.DataObject, pairs: list[tuple[int, int]], unit: str) -> None:
    (source, target), order = sides(pairs), data.draw(st.permutations(range(len(pairs))))
    split = Split(unit, val=2, test=2, largest=1.0)
    assert np.array_equal(split.assign(source, target)[order], split.assign(source[order], target[order]))


def test_a_small_corpus_and_an_unknown_unit_are_refused() -> None:
    source, target = random_sides(100, 1000, seed=4)
    with pytest.raises(EntenteError, match=r"50 \+ 10 pairs .* more than half of the 100"):
        Split("pair", val=50, test=10, largest=0.1).assign(source, target)
    with pytest.raises(EntenteError, match="`sentence`: choose one of component, pair"):
        Split("sentence", val=1, test=1, largest=0.1).assign(source, target)
