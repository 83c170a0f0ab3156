"""A trained model as a library has it: it translates, says what else it thought of, and shows where it looked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from entente.decoding.translator import Translator as Searching
from entente.evaluation.attention_maps import AttentionMap, attention_maps
from entente.text.cleaning import normalise
from entente.text.subwords import BOS, EOS


@dataclass(frozen=True, slots=True)
class Attended:
    """A sentence, its translation and the attention of every layer and head as the network is made to write it.

    `source` are the pieces read, `heard` those that the decoder was given, `written` those it answered, one further on.
    A map has the kind, its rows (who looks), its columns (at whom) and the weights (L, H, rows, columns).
    """

    sentence: str
    translation: str
    source: Sequence[str]
    heard: Sequence[str]
    written: Sequence[str]
    maps: Sequence[AttentionMap]


class Translator(Searching):
    """A network, its subwords and a beam: `translate`, `hypotheses`, `log_probabilities` and `attend`.

    >>> from entente import Translator
    >>> translator = Translator.load("artifacts/model")
    >>> list(translator.translate(["I love you."]))
    ["Je t'aime."]
    """

    def attend(self, sentences: Iterable[str]) -> Iterator[Attended]:
        """Translate, and yield with each sentence what every word looked at.

        Raises EntenteError, after the sentences before it, where one is longer than the network reads at once.
        """
        for sentence in map(normalise, sentences):
            [translation] = self.translate([sentence])
            yield self.look(sentence, translation)

    def look(self, sentence: str, translation: str) -> Attended:
        """Return what every word looks at as the network reads a sentence and is made to write this translation.

        Raises EntenteError where one is longer than the network reads at once.
        """
        source, target = self.subwords.encode([normalise(sentence), translation])
        return Attended(
            normalise(sentence),
            translation,
            self.subwords.pieces([*source, EOS]),
            self.subwords.pieces([BOS, *target]),
            self.subwords.pieces([*target, EOS]),
            attention_maps(self.network, self.subwords, source, target),
        )
