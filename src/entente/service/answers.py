"""What a service is asked and what it answers, over HTTP and as an MLflow model alike."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from entente.decoding.settings import DEFAULT
from entente.decoding.translator import Translation
from entente.errors import EntenteError
from entente.translator import Attended, Translator

# Of one request: some seconds of two cores with the models of this project.
MOST_SENTENCES, MOST_CHARACTERS, WIDEST_BEAM = 256, 2000, 32
MOST_WORK = 150_000  # characters of all sentences times the beam
MOST_WEIGHTS = 1_000_000  # of attention that is asked for: some megabytes of JSON
DIGITS = 4  # of a weight of attention

Sentence = Annotated[str, Field(max_length=MOST_CHARACTERS)]


class Question(BaseModel):
    """Sentences to translate, and how."""

    model_config = ConfigDict(extra="forbid")

    sentences: list[Sentence] = Field(min_length=1, max_length=MOST_SENTENCES, description="English")
    beam: int = Field(DEFAULT.beam, ge=1, le=WIDEST_BEAM, description="hypotheses kept at each step; 1 is greedy")
    length_penalty: float = Field(DEFAULT.length_penalty, ge=-5, le=5, description="larger prefers longer sentences")
    n_best: int = Field(1, ge=1, le=WIDEST_BEAM, description="how many translations of each; at most the beam")
    attention: bool = Field(False, description="whether to tell what every word looked at")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.n_best > self.beam:
            raise ValueError(f"n_best is {self.n_best}, and the beam {self.beam}: ask for fewer, or widen the beam")
        characters = sum(map(len, self.sentences))
        if characters * self.beam > MOST_WORK:
            raise ValueError(
                f"{characters} characters with a beam of {self.beam}: ask for at most {MOST_WORK // self.beam} at once"
            )
        return self


class Hypothesis(BaseModel):
    """A translation, its log-probability in nats (with the end of the sentence), and that normalised by length."""

    text: str
    score: float
    log_probability: float


class Attention(BaseModel):
    """Pieces read, given to the decoder and answered by it; weights (L, H, rows, columns) by kind, rows sum to 1.

    The encoder's rows and columns are `source`, the decoder's `heard`; over the encoder `written` looks at `source`.
    """

    source: list[str]
    heard: list[str]
    written: list[str]
    weights: dict[str, list[list[list[list[float]]]]]


class Answer(BaseModel):
    """The best translation of a sentence; where they were asked for, the n best and what was looked at."""

    translation: str
    hypotheses: list[Hypothesis] | None = None
    attention: Attention | None = None


class Service:
    """Translates for many who ask at once: an answer is what it would be alone.

    Services that share a `worker` of one thread search one at a time: PyTorch has one number of threads for all, and in
    each thread that searches memory of its own, which it keeps.
    """

    def __init__(self, translator: Translator, worker: Executor) -> None:
        self._translator, self._worker = translator, worker

    def answer(self, question: Question) -> list[Answer]:
        """Translate the sentences of a question, in order. Raises EntenteError as Translator does."""
        return self._worker.submit(self._answer, question).result()

    def _answer(self, question: Question) -> list[Answer]:
        translator = self._as_asked(question)
        several: Sequence[list[Translation] | None]
        if question.n_best > 1:
            several = found = list(translator.hypotheses(question.sentences, question.n_best))
            texts = [best[0].text for best in found]
        else:  # greedily, quicker
            texts = list(translator.translate(question.sentences))
            several = [None] * len(texts)
        seen = _look(translator, question.sentences, texts) if question.attention else [None] * len(texts)
        return [
            Answer(
                translation=text,
                hypotheses=None if best is None else [Hypothesis(**asdict(one)) for one in best],
                attention=_attention(one) if one else None,
            )
            for text, best, one in zip(texts, several, seen, strict=True)
        ]

    def attend(self, sentence: str) -> Attended:
        """Translate a sentence as it is done by default, and return what was looked at."""
        [seen] = self._worker.submit(self._translator.attend, [sentence]).result()
        return seen

    def _as_asked(self, question: Question) -> Translator:
        own = self._translator
        decoding = replace(own.decoding, beam=question.beam, length_penalty=question.length_penalty)
        return Translator(own.network, own.subwords, decoding, own.device)


def _look(translator: Translator, sentences: Sequence[str], texts: Sequence[str]) -> list[Attended]:
    found, weights = [], 0
    for sentence, text in zip(sentences, texts, strict=True):
        found.append(translator.look(sentence, text))
        weights += sum(one.weights.size for one in found[-1].maps)
        if weights > MOST_WEIGHTS:
            raise EntenteError(f"the attention is more than {MOST_WEIGHTS:,} numbers: ask for fewer sentences at once")
    return found


def _attention(seen: Attended) -> Attention:
    return Attention(
        source=list(seen.source),
        heard=list(seen.heard),
        written=list(seen.written),
        weights={one.kind: one.weights.astype(float).round(DIGITS).tolist() for one in seen.maps},
    )


def problems(found: Sequence[Mapping[str, Any]]) -> str:
    """Say in a line what pydantic found wrong with a question."""
    return "; ".join(map(_problem, found[:3]))


def _problem(found: Mapping[str, Any]) -> str:
    if found["type"] == "json_invalid":
        return f"the request is no JSON ({found['ctx']['error']})"
    place = ".".join(str(part) for part in found["loc"] if part != "body")
    text = found["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else str(text)
