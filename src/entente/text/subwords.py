"""Subword pieces, learnt and applied by SentencePiece, and the four special symbols of every vocabulary.

Unigram language model: Kudo 2018 (P18-1007); byte pair encoding: Sennrich et al. 2016 (P16-1162);
SentencePiece: Kudo and Richardson 2018 (D18-2012).
"""

import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import sentencepiece
from pydantic import Field
from tqdm import tqdm

from entente.errors import EntenteError
from entente.options import Count
from entente.text.corpus import read_lines, replacing

PAD, UNK, BOS, EOS = 0, 1, 2, 3
KINDS = ("unigram", "bpe")

# Rarer characters, emoji and whatever a person types are spelt in bytes, so that every text round-trips.
_CHARACTER_COVERAGE = 0.9999
_ERRORS_ONLY = 2
SPACE = "\u2581"  # how SentencePiece writes it, before a word

_HALF = re.compile("[\ud800-\udfff]")

Sample = Annotated[int, Field(gt=100)]  # sentences; SentencePiece refuses fewer
Threads = Annotated[int, Field(ge=1, le=1024)]


def learn(
    texts: Sequence[Path], folder: Path, *, kind: str, vocabulary: Count, threads: Threads, sample: Sample
) -> None:
    """Learn one vocabulary of `vocabulary` pieces, joint over `texts`, into `folder`/subwords.{model,vocab}.

    At most `sample` sentences are drawn to learn from, always the same ones. The bytes written depend on the
    sentences and on these arguments only (`threads` is among them: unigram's sums depend on their order).
    Raises EntenteError for an unknown kind, and for a vocabulary that the texts cannot fill.
    """
    if kind not in KINDS:
        raise EntenteError(f"subwords.kind is `{kind}`: choose one of {', '.join(KINDS)}")
    model = io.BytesIO()
    complaints: list[EntenteError] = []  # SentencePiece hides what its iterator raises in a message of its own
    try:
        with _clock(f"learning {vocabulary:,} pieces"):
            sentencepiece.SentencePieceTrainer.train(
                # An iterator and a writer, not file names: those would be written into the model.
                sentence_iterator=_sentences(texts, complaints),
                model_writer=model,
                model_type=kind,
                vocab_size=vocabulary,
                num_threads=threads,
                input_sentence_size=sample,
                shuffle_input_sentence=True,
                character_coverage=_CHARACTER_COVERAGE,
                byte_fallback=True,
                normalization_rule_name="identity",  # text comes normalised; NFKC would rewrite ligatures
                pad_id=PAD,
                unk_id=UNK,
                bos_id=BOS,
                eos_id=EOS,
                minloglevel=_ERRORS_ONLY,
            )
    except RuntimeError as error:
        raise complaints[0] if complaints else _explained(str(error), vocabulary, texts) from error
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "subwords.model") as temporary:
        temporary.write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    with replacing(folder / "subwords.vocab") as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(
            f"{processor.id_to_piece(piece)}\t{processor.get_score(piece):g}\n" for piece in range(len(processor))
        )


def _sentences(texts: Sequence[Path], complaints: list[EntenteError]) -> Iterator[str]:
    try:
        for text in texts:
            yield from read_lines(text)
    except EntenteError as error:
        complaints.append(error)
        raise


def _explained(message: str, vocabulary: int, texts: Sequence[Path]) -> EntenteError:
    """Say SentencePiece's commonest refusals in the words of the configuration."""
    names = ", ".join(map(str, texts))
    if found := re.search(r"too high \(\d+\)\. Please set it to a value <= (\d+)", message):
        return EntenteError(
            f"a vocabulary of {vocabulary} pieces is larger than {names} supports: at most {found[1]}. "
            f"Choose a smaller option, `subwords=...`, or subwords.vocabulary={found[1]}, or a larger corpus"
        )
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return EntenteError(
            f"a vocabulary of {vocabulary} pieces is too small for the characters and bytes of {names}: "
            f"at least {found[1]}. Choose a larger option, `subwords=...`, or subwords.vocabulary={found[1]}"
        )
    if "sentences_.empty()" in message:
        return EntenteError(f"there is no sentence to learn subwords from in {names}")
    return EntenteError(f"SentencePiece could not learn {vocabulary} pieces from {names}: {message}")


@contextmanager
def _clock(description: str) -> Iterator[None]:
    """Show elapsed time while the body runs: SentencePiece tells nobody how far it is."""
    done = threading.Event()
    with tqdm(desc=description, delay=2, bar_format="{desc}: {elapsed}") as bar:

        def tick() -> None:
            while not done.wait(1):
                bar.update()

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()


class Subwords:
    """A learnt vocabulary: sentences to ids and back. A missing or broken model raises EntenteError."""

    digest: str  # sha256 of the model file's bytes, in hexadecimal: which vocabulary weights belong to

    def __init__(self, model: Path, digest: str | None = None) -> None:
        """Load `model`, a SentencePiece model file that `learn` wrote; with `digest`, that alone."""
        try:
            content = model.read_bytes()
        except OSError as error:
            raise EntenteError(
                f"no subword model at {model} ({error.strerror}): `dvc repro learn_subwords` learns one"
            ) from error
        self.digest = hashlib.sha256(content).hexdigest()
        if digest not in (None, self.digest):  # asked before a parser in C++ sees it
            raise EntenteError(
                f"{model} does not belong to the weights beside it: they know sha256 {digest}, this file has "
                f"{self.digest}. `dvc checkout` restores the folder of the last training, `dvc repro` trains anew"
            )
        try:
            if not content:
                raise ValueError("an empty file")
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=content)
            special = [getattr(self._processor, name)() for name in ("pad_id", "unk_id", "bos_id", "eos_id")]
        except (RuntimeError, ValueError) as error:
            raise EntenteError(f"{model} is no SentencePiece model, or is damaged: learn it anew") from error
        if special != [PAD, UNK, BOS, EOS]:
            raise EntenteError(
                f"{model} numbers pad, unk, bos, eos {special}, expected {[PAD, UNK, BOS, EOS]}: it was made "
                "elsewhere; learn one with `dvc repro learn_subwords`"
            )

    def __len__(self) -> int:
        """Return the number of pieces, the special symbols and the 256 bytes among them."""
        return len(self._processor)

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the ids of each sentence, without BOS or EOS; sentences come normalised (text.cleaning).

        Raises EntenteError for what is no text.
        """
        # One thread: the order of results and the number of threads of a process stay the caller's affair.
        try:
            ids: list[list[int]] = self._processor.encode(list(sentences), out_type=int, num_threads=1)
        except TypeError as error:  # half of a surrogate pair is no text, though Python has it in strings
            broken = next((sentence for sentence in sentences if _HALF.search(sentence)), None)
            if broken is None:
                raise
            raise EntenteError(
                f"{broken[:60]!a} is no text: it holds half of a character, or bytes that are not UTF-8; mend it"
            ) from error
        return ids

    def likeliest(self, word: str, count: int) -> tuple[list[list[int]], list[float]]:
        """Return the `count` likeliest segmentations of a word under a unigram model, and their log-probabilities."""
        cuts: list[list[int]] = self._processor.nbest_encode_as_ids(word, nbest_size=count)
        return cuts, [sum(self._processor.get_score(piece) for piece in cut) for cut in cuts]

    @property
    def kind(self) -> str:
        """Which of `KINDS` this is."""
        return "bpe" if self.merges else "unigram"

    @property
    def scores(self) -> list[float]:
        """What each piece adds to the score of a segmentation that has it; of special symbols and bytes 0."""
        return [float(self._processor.get_score(piece)) for piece in range(len(self))]

    @cached_property
    def merges(self) -> dict[str, int]:
        """What byte pairs merge into, and its id, which is lower the earlier it was learnt; empty for unigram."""
        try:
            self._processor.nbest_encode_as_ids("a", nbest_size=1)
        except RuntimeError:  # byte pairs know one segmentation only
            pieces = (piece for piece in range(len(self)) if not self._processor.is_byte(piece) and piece > EOS)
            return {self._processor.id_to_piece(piece): piece for piece in pieces}
        return {}

    def merge(self, word: str, is_kept: Callable[[], bool]) -> list[int]:
        """Return the ids of a word by byte pairs, asking of each merge, each time it could be made, whether it may."""
        symbols = list(f"{SPACE}{word}")
        while True:
            joined = (self.merges.get(left + right) for left, right in pairwise(symbols))
            possible = [(piece, place) for place, piece in enumerate(joined) if piece is not None and is_kept()]
            if not possible:
                break
            _, place = min(possible)
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        return [piece for symbol in symbols for piece in self._spelt(symbol)]

    def _spelt(self, symbol: str) -> list[int]:
        if symbol in self.merges:
            return [self.merges[symbol]]
        return [int(self._processor.piece_to_id(f"<0x{byte:02X}>")) for byte in symbol.encode()]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the sentence of each row of ids, on one line; PAD, BOS and EOS are left out."""
        rows = [[int(piece) for piece in row] for row in ids]
        sentences: list[str] = self._processor.decode(rows, num_threads=1) if rows else []
        # A network may spell a line break in bytes; lines in and lines out must stay aligned.
        return [sentence.replace("\n", " ").replace("\r", " ") for sentence in sentences]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the written form of each id, a word's first piece marked by U+2581."""
        return [str(self._processor.id_to_piece(int(piece))) for piece in ids]
