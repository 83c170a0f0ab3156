"""Entente: train, take apart and trust a translation Transformer (English to French)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entente.decoding.settings import Decoding
    from entente.translator import Translator

__all__ = ["Decoding", "Translator"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: PyTorch takes a second, and a command line may not need it."""
    if name == "Translator":
        from entente.translator import Translator

        return Translator
    if name == "Decoding":
        from entente.decoding.settings import Decoding

        return Decoding
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
