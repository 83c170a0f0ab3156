"""How to search. Without PyTorch, so that a command line can name the defaults at once."""

from dataclasses import dataclass

from entente.errors import EntenteError


@dataclass(frozen=True)
class Decoding:
    """How to search; the keys of `conf/decoding/`.

    A translation has at most `max_length_factor` x source + `max_length_offset` pieces, EOS counted on both
    sides; a batch holds at most `batch_tokens` source pieces, padding included, and twice as many where it
    is searched greedily for no scores.
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
        for name, least, most in (
            ("beam", 1, 1024),
            ("batch_tokens", 1, 2**24),
            ("max_length_factor", 0, 100),
            ("max_length_offset", 1, 2**16),
            ("length_penalty", -10, 10),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise EntenteError(f"decoding: {name} is {value}; choose from {least} to {most}")


DEFAULT = Decoding()
