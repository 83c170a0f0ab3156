import torch
from hypothesis import given
from hypothesis import strategies as st

from entente.model.masks import CAUSAL, laid_out, padding_mask

SIZES = st.integers(1, 12)


@given(SIZES, SIZES)
def test_a_word_may_attend_to_itself_and_to_what_came_before(queries: int, keys: int) -> None:
    mask = laid_out(CAUSAL, torch.empty(1, 2, queries, 4), torch.empty(1, 2, keys, 4))
    assert mask is not None
    assert mask[0, 0].tolist() == [[key <= query for key in range(keys)] for query in range(queries)]


@given(
    st.integers(0, 3),
    st.integers(1, 4).flatmap(
        lambda rows: st.lists(st.lists(SIZES, min_size=5, max_size=5), min_size=rows, max_size=rows)
    ),
)
def test_every_word_but_padding_may_be_attended_to(pad: int, ids: list[list[int]]) -> None:
    mask = padding_mask(torch.tensor(ids), pad)
    assert mask[:, 0, 0].tolist() == [[piece != pad for piece in row] for row in ids]
    assert laid_out(mask, torch.empty(0), torch.empty(0)) is mask


def test_no_mask_is_laid_out_as_none() -> None:
    assert laid_out(None, torch.empty(0), torch.empty(0)) is None
