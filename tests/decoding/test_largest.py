import pytest
import torch

from entente.decoding.largest import largest


@pytest.mark.parametrize(
    ("vocabulary", "count"), [(6, 4), (8, 1), (33, 4), (400, 50), (401, 7), (2000, 1), (2003, 1), (2003, 9)]
)
def test_the_best_words_are_found_as_topk_finds_them(vocabulary: int, count: int) -> None:
    logits = torch.randn(11, vocabulary, generator=torch.Generator().manual_seed(1))
    assert largest(logits, count).equal(logits.topk(count).indices)


def test_of_equally_good_words_each_is_found_once() -> None:
    logits = torch.full((2, 100), -torch.inf)
    logits[:, [3, 40, 41, 99]] = 1.0
    for row in largest(logits, 6):
        assert len(set(row.tolist())) == 6
        assert {3, 40, 41, 99} == set(row[:4].tolist())


@pytest.mark.parametrize("place", [0, 17, 99])
def test_what_is_no_number_comes_first(place: int) -> None:
    logits = torch.randn(1, 100, generator=torch.Generator().manual_seed(1))
    logits[0, place] = torch.nan
    assert largest(logits, 1).tolist() == [[place]]
