"""What a service is asked and what it answers, over HTTP and as an MLflow model alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from entente.decoding.settings import DEFAULT
from entente.translator import Attended, Translator

# Of one request: a few seconds of two cores with the models of this project.
MOST_SENTENCES, MOST_CHARACTERS, WIDEST_BEAM = 256, 2000, 32
MOST_LOOKED_AT = 16  # sentences whose attention is asked for: its weights are far longer than any translation
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
        if self.attention and len(self.sentences) > MOST_LOOKED_AT:
            raise ValueError(f"attention to {len(self.sentences)} sentences: ask for at most {MOST_LOOKED_AT} at once")
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
    """Translates for many who ask at once, one search at a time: an answer is what it would be alone."""

    def __init__(self, translator: Translator) -> None:
        self._translator, self._lock = translator, Lock()

    def answer(self, question: Question) -> list[Answer]:
        """Translate the sentences of a question, in order. Raises EntenteError as Translator does."""
        with self._lock:
            translator = self._as_asked(question)
            found = list(translator.hypotheses(question.sentences, question.n_best))
            seen = list(translator.attend(question.sentences)) if question.attention else [None] * len(found)
        return [
            Answer(
                translation=best[0].text,
                hypotheses=[
                    Hypothesis(text=one.text, score=one.score, log_probability=one.log_probability) for one in best
                ]
                if question.n_best > 1
                else None,
                attention=_attention(one) if one else None,
            )
            for best, one in zip(found, seen, strict=True)
        ]

    def attend(self, sentence: str) -> Attended:
        """Translate a sentence as it is done by default, and return what was looked at."""
        with self._lock:
            [seen] = self._translator.attend([sentence])
        return seen

    def _as_asked(self, question: Question) -> Translator:
        own = self._translator
        decoding = replace(own.decoding, beam=question.beam, length_penalty=question.length_penalty)
        return Translator(own.network, own.subwords, decoding, own.device)


def _attention(seen: Attended) -> Attention:
    return Attention(
        source=_listed(seen.source),
        heard=_listed(seen.heard),
        written=_listed(seen.written),
        weights={one.kind: one.weights.astype(float).round(DIGITS).tolist() for one in seen.maps},
    )


def _listed(pieces: Sequence[str]) -> list[str]:
    return list(pieces)


def problems(found: Sequence[Mapping[str, Any]]) -> str:
    """Say in a line what pydantic found wrong with a question."""
    return "; ".join(map(_problem, found[:3]))


def _problem(found: Mapping[str, Any]) -> str:
    if found["type"] == "json_invalid":
        return f"the request is no JSON ({found['ctx']['error']})"
    place = ".".join(str(part) for part in found["loc"] if part != "body")
    text = found["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else str(text)
