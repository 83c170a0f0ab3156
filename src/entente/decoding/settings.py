"""How to search. Without PyTorch, so that a command line can name the defaults at once."""

import math
from dataclasses import dataclass

from entente.errors import EntenteError


@dataclass(frozen=True)
class Decoding:
    """How to search; the keys of `conf/decoding/`.

    A translation has at most `max_length_factor` x source + `max_length_offset` pieces, EOS counted on both
    sides; a batch holds at most `batch_tokens` source pieces, padding included.
    """

    # For who asks for nothing else: what conf/decoding/beam.yaml says, which a test holds equal. An installed package
    # has no conf/ to read, and in the model's folder an edit of it would train anew.
    beam: int = 5
    length_penalty: float = 0.6
    max_length_factor: float = 1.5
    max_length_offset: int = 15
    batch_tokens: int = 2048

    def __post_init__(self) -> None:
        """Refuse what no search can do."""
        for name, least in (
            ("beam", 1),
            ("batch_tokens", 1),
            ("max_length_factor", 0),
            ("max_length_offset", 1),
        ):
            value = getattr(self, name)
            if not value >= least:
                raise EntenteError(f"decoding: {name} is {value}; choose at least {least}")
        if not math.isfinite(self.length_penalty):
            raise EntenteError(f"decoding: length_penalty is {self.length_penalty}; choose a number, such as 0.6")


DEFAULT = Decoding()
