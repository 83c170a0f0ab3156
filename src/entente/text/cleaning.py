"""Cleaning: what a sentence looks like, and which pairs are fit to learn from."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from entente.options import Count, Natural

# Control characters but white space (which becomes a plain space), and invisible format characters that only
# disturb: soft hyphen, zero-width space, word joiner, invisible operators, byte order mark, marks of writing direction
# and of annotations. The joiners U+200C and U+200D stay: emoji and several scripts need them.
_REMOVED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+"
)
_WORD = re.compile(r"\w+")


def normalise(sentence: str) -> str:
    """Return `sentence` in Unicode NFC, without control characters, words parted by single plain spaces.

    French typography's no-break spaces (U+00A0, U+202F before `?`, `!`, `:`) become plain ones: "Ça va ?".
    """
    return " ".join(unicodedata.normalize("NFC", _REMOVED.sub("", sentence)).split())


def key(sentence: str) -> str:
    """Return what sentences that a reader would call the same share: words only, without case.

    "Go on!" and "Go on." have one key, and so have "l'été" and "l’été". A sentence without words is its own.
    """
    return " ".join(_WORD.findall(sentence.casefold())) or sentence


@dataclass(frozen=True)
class Cleaning:
    """Limits of what is worth learning from. Reasons to drop a pair are named by `REASONS`, in this order."""

    max_characters: Count  # of either side
    max_words: Count  # of either side
    max_ratio: Annotated[float, Field(ge=1)]  # of the longer side's characters to the shorter's ...
    ratio_slack: Natural  # ... with this many added to both, so that "Go!" may be "Allez-y maintenant !"

    def complaint(self, source: str, target: str) -> str | None:
        """Return why a normalised pair should not be learnt from: `empty`, `too_long`, `unequal`, or None."""
        lengths = len(source), len(target)
        if not all(lengths):
            return "empty"
        if max(lengths) > self.max_characters:
            return "too_long"
        if max(source.count(" "), target.count(" ")) >= self.max_words:
            return "too_long"
        if max(lengths) + self.ratio_slack > self.max_ratio * (min(lengths) + self.ratio_slack):
            return "unequal"
        return None


REASONS = ("empty", "too_long", "unequal", "duplicate")
