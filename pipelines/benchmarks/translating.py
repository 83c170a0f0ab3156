"""Translation speed: sentences a second, from text to text.

With random weights every translation is forced to one length; with trained ones it is as long as it comes, and scored.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator, load_subwords
from entente.evaluation.scores import bleu
from entente.model import weights
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.options import construct
from entente.text.batches import pad
from entente.text.corpus import read_lines
from entente.text.subwords import EOS, Subwords
from entente.tracking.store import root
from pipelines.benchmarks.case import SIZES, Case, Timing, matrix_rate, operations, peak_memory, serve, windows
from pipelines.benchmarks.training import other
from pipelines.compose import CONF, compose, plain

Settings = dict[str, Any]
Translate = Callable[[Sequence[str]], list[str]]

SENTENCES, BATCH, LENGTH, ROUNDS = 1000, 64, 20, 3  # of the validation set; a batch; pieces of a translation


def measure(case: Case) -> Timing:
    """Time translations by the case's system."""
    torch.manual_seed(1)
    settings = plain(compose([f"recipe={case.recipe}", *SIZES.get(case.size, ())], root() / CONF))
    folder = Path(case.model) if case.model else case.folder / "artifacts/subwords"
    if case.model:
        network, subwords = weights.load(folder), load_subwords(folder)
        settings["model"] = weights.read_config(folder)["network"]
    else:
        network = build(settings["model"], settings["subwords"]["vocabulary"])
        subwords = Subwords(folder / "subwords.model")
    sentences, references = (
        list(read_lines(case.folder / f"data/prepared/val.{language}"))[:SENTENCES] for language in ("en", "fr")
    )
    with TemporaryDirectory() as place:
        if case.system == "entente":
            translate = _ours(network, settings, subwords, case)
        elif case.system.startswith("ctranslate2"):
            translate = _exported(network, settings, folder / "subwords.model", case, Path(place))
        else:
            translate = _others(settings, subwords, case)

        def work() -> float:
            return float(len(translate(sentences)))

        found = windows(work, rounds=ROUNDS, device=case.device)
        counted, memory = operations(work), peak_memory(case.device)
        reached = bleu(translate(sentences), [[one] for one in references]) if case.model else None
    rate = matrix_rate(case.device, case.precision)
    return Timing(found, counted, None, rate, memory, reached)


def _ours(network: Seq2Seq, settings: Settings, subwords: Subwords, case: Case) -> Translate:
    chosen: dict[str, float] = {"beam": case.beam, "length_penalty": 0.0}  # CTranslate2 has another formula
    if not case.model:
        network = never_ending(network)
        chosen |= {"max_length_factor": 0.0, "max_length_offset": LENGTH}
    decoding = construct(Decoding, settings["decoding"] | chosen, "decoding")
    translator = Translator(network, subwords, decoding, torch.device(case.device))
    return lambda sentences: list(translator.translate(sentences))


def _others(settings: Settings, subwords: Subwords, case: Case) -> Translate:
    network = other(case.system, settings["model"], settings["subwords"]["vocabulary"]).to(case.device).eval()

    def translate(sentences: Sequence[str]) -> list[str]:
        encoded = [[*ids, EOS] for ids in subwords.encode(sentences)]
        order = sorted(range(len(encoded)), key=lambda number: len(encoded[number]))
        found: dict[int, str] = {}
        for start in range(0, len(order), BATCH):
            numbers = order[start : start + BATCH]
            src = pad([encoded[number] for number in numbers]).to(case.device)
            ids = network.write(src, case.beam, LENGTH).tolist()
            found.update(zip(numbers, subwords.decode(ids), strict=True))
        return [found[number] for number in range(len(sentences))]

    return translate


def _exported(network: Seq2Seq, settings: Settings, model: Path, case: Case, place: Path) -> Translate:
    import ctranslate2  # an option of ours, as exporting is
    import sentencepiece

    from entente.export.ctranslate2 import write

    quantization = "int8" if case.system.endswith("int8") else "float32"
    write(network, settings["model"], model, place / "exported", quantization=quantization)
    cores = torch.get_num_threads()  # several of one thread are faster than one of several
    translator = ctranslate2.Translator(
        str(place / "exported"), device=case.device, inter_threads=cores, intra_threads=1, compute_type=quantization
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    chosen: dict[str, float] = {"max_batch_size": BATCH, "length_penalty": 0.0}
    if not case.model:
        chosen |= {"min_decoding_length": LENGTH, "max_decoding_length": LENGTH}

    def translate(sentences: Sequence[str]) -> list[str]:
        source = pieces.encode(list(sentences), out_type=str)
        found = translator.translate_batch(source, beam_size=case.beam, **chosen)
        return [pieces.decode(one.hypotheses[0]) for one in found]

    return translate


def never_ending(network: Seq2Seq) -> Seq2Seq:
    """Keep a network from ending a sentence of itself, so that all systems write as much."""
    step = network.step

    def unending(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits, state = step(tokens, state)
        logits[:, EOS] = -1e4  # in place: they are ours, and large
        return logits, state

    network.step = unending  # type: ignore[method-assign]
    return network


if __name__ == "__main__":
    serve(measure)
