"""What a recurrent decoder gets of the source at every step: one vector for all, or a look at its words."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from entente.model.attention import Additive, AttentionCore, DotProduct
from entente.model.maps import Map


class RecurrentAttention(nn.Module, ABC):
    """A view of the memory (B, S, D) from the top state h (B, D) of the decoder that has read the last word."""

    def __init__(self, *, width: int) -> None:
        super().__init__()

    @abstractmethod
    def read(self, memory: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Map memory (B, S, D) and its summary (B, D) to the keys and values (B, 1, S, D) of all steps to come."""

    @abstractmethod
    def forward(self, h: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Look once, N targets at each source: h (B N, D), k, v (B, 1, S, D), mask (B, 1, 1, S) -> context (B N, D)."""


class NoAttention(RecurrentAttention):
    """The summary of the source at every step: its words are never looked at (Cho et al. 2014, section 2.2)."""

    def read(self, memory: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the summary (B, D) as the only value (B, 1, 1, D), and no keys (B, 1, 0, D)."""
        return memory[:, None, :0], summary[:, None, None]

    def forward(self, h: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Return the summaries, whatever h (B N, D) is -> (B N, D)."""
        return v[:, 0].expand(-1, len(h) // len(v), -1).reshape(h.shape)


class DotAttention(RecurrentAttention):
    """score = h' m: the decoder's state against each of the encoder's, as they are (Luong et al. 2015, section 3.1)."""

    def __init__(self, *, width: int) -> None:
        super().__init__(width=width)
        self.core: AttentionCore = DotProduct(heads=1, width=width)

    def read(self, memory: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Memory (B, S, D) -> k, v (B, 1, S, D)."""
        return memory[:, None], memory[:, None]

    def query(self, h: Tensor) -> Tensor:
        """h (B, D) -> (B, D)."""
        return h

    def forward(self, h: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the values (B, 1, S, D) by the scores of their keys, for each of h (B N, D)."""
        return self.core(self.query(h).view(len(k), 1, -1, h.shape[1]), k, v, mask).view_as(h)


class GeneralAttention(DotAttention):
    """score = h' W m (Luong et al. 2015, section 3.1)."""

    def __init__(self, *, width: int) -> None:
        super().__init__(width=width)
        self.key = square(width)

    def read(self, memory: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Memory (B, S, D) -> W m once for all steps, and the memory (B, 1, S, D)."""
        return self.key(memory)[:, None], memory[:, None]


class AdditiveAttention(GeneralAttention):
    """score = v' tanh(W h + U m) (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, *, width: int) -> None:
        super().__init__(width=width)
        self.core = Additive(heads=1, width=width)
        self.to_query = square(width)

    def query(self, h: Tensor) -> Tensor:
        """h (B, D) -> W h (B, D)."""
        return self.to_query(h)


def square(width: int) -> Map:
    """Return a map (..., D) -> (..., D) without a bias (Glorot and Bengio 2010)."""
    linear = Map(width, width, bias=False)
    nn.init.xavier_uniform_(linear.weight)
    return linear


RECURRENT_ATTENTIONS: Mapping[str, Callable[..., RecurrentAttention]] = {
    "none": NoAttention,
    "additive": AdditiveAttention,
    "dot": DotAttention,
    "general": GeneralAttention,
}
