"""Words, and the subword pieces that they are made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from entente.errors import EntenteError

_START = "▁"  # SentencePiece's mark of a word's first piece
_SPECIAL = {"<s>": "⟨start⟩", "</s>": "⟨end⟩"}
_BYTES = re.compile(r"(?:<0x[0-9A-F]{2}>)+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or the punctuation before or after one, and the positions of its pieces in the sentence."""

    text: str
    positions: tuple[int, ...]


def words(pieces: Sequence[str]) -> list[Word]:
    """Group pieces into words: every piece is in exactly one. `▁fl uffy ,` -> `fluffy` and `,`.

    Punctuation inside a word stays there (don't). A piece that holds letters and punctuation goes to the word.
    """
    found: list[Word] = []
    starts = [position for position, piece in enumerate(pieces) if _begins(pieces, position)]
    for start, end in pairwise([*starts, len(pieces)]):
        lettered = [position for position in range(start, end) if _has_letter(pieces[position])]
        first, last = (lettered[0], lettered[-1] + 1) if lettered else (end, end)
        if pieces[start] == _START and first == start + 1:
            first = start  # a mark that stands alone belongs to what follows
        for one, other in ((start, first), (first, last), (last, end)):
            if one < other:
                found.append(Word(_written(pieces[one:other]), tuple(range(one, other))))
    return found


def find(sentence: Sequence[Word], name: str) -> Word:
    """Find a word by what is written, in any case: `cat`, or `cat#2` for the second. Raises EntenteError if none."""
    text, _, number = name.rpartition("#") if re.fullmatch(r".+#[1-9]\d*", name) else (name, "", "1")
    same = [word for word in sentence if word.text.casefold() == text.casefold()]
    if len(same) < int(number):
        known = ", ".join(f"`{label}`" for label in labels(sentence)) or "none"
        raise EntenteError(f"there is no word `{name}` in the sentence; its words are {known}")
    return same[int(number) - 1]


def labels(sentence: Sequence[Word]) -> list[str]:
    """Name each word so that `find` finds it: a word that occurs again is numbered from its second time on."""
    names: list[str] = []
    texts = [word.text.casefold() for word in sentence]
    for position, word in enumerate(sentence):
        number = texts[: position + 1].count(texts[position])
        names.append(word.text if number == 1 else f"{word.text}#{number}")
    return names


def _begins(pieces: Sequence[str], position: int) -> bool:
    """Say whether a word, or what stands before or after the sentence, begins here."""
    after_special = position == 0 or pieces[position - 1] in _SPECIAL
    return after_special or pieces[position].startswith(_START) or pieces[position] in _SPECIAL


def _has_letter(piece: str) -> bool:
    return any(character.isalnum() for character in piece)


def _written(pieces: Sequence[str]) -> str:
    if pieces[0] in _SPECIAL:
        return _SPECIAL[pieces[0]]
    text = "".join(pieces).replace(_START, "")
    text = _BYTES.sub(lambda found: _decoded(found[0]), text)
    letters = [position for position, character in enumerate(text) if character.isalnum()]
    return text[letters[0] : letters[-1] + 1] if letters else text or "␣"


def _decoded(spelt: str) -> str:
    """Read bytes that stand for a rare character: <0xC3><0xA9> -> é."""
    return bytes.fromhex(re.sub("<0x|>", "", spelt)).decode("utf-8", errors="replace")
