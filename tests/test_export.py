"""What CTranslate2 makes of an exported model is what we make of it."""

import inspect
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import pytest
import sentencepiece
import torch
from ctranslate2.specs.model_spec import ACCEPTED_MODEL_TYPES

from entente.cli import main
from entente.commands.export import QUANTIZATIONS
from entente.decoding.greedy import greedy
from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import EntenteError
from entente.export import ctranslate2 as exporting
from entente.model import weights
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.model.transformer import Transformer
from entente.text.batches import pad
from entente.text.subwords import BOS, EOS, PAD, Subwords
from tests.conftest import SENTENCES
from tests.model.networks import options, recurrent_options

CPU = torch.device("cpu")
ANSWERS = SENTENCES[1:] + SENTENCES[:1]
PLACES = ("encoder", "decoder", "cross")
HELD: list[dict[str, Any]] = [
    *({"residual": norm, "feed_forward": kind} for norm in ("pre_norm", "post_norm") for kind in ("relu", "gelu")),
    *({"residual": norm, "feed_forward": "swiglu"} for norm in ("pre_norm", "post_norm")),
    *({"encoder_positions": kind, "decoder_positions": kind} for kind in ("learned", "rotary", "none")),
    {"encoder_positions": "rotary", "residual": "post_norm"},
    {"encoder_positions": "learned", "decoder_positions": "rotary"},
    {f"{place}_attention": "dot_product" for place in PLACES},
    {"cross_attention": "dot_product"},
    {"shared_embeddings": False},
]
REFUSED = [
    *((f"{side}_positions", kind) for side in ("encoder", "decoder") for kind in ("relative", "alibi")),
    *((f"{place}_attention", kind) for place in PLACES for kind in ("additive", "uniform")),
    ("encoder_attention", "identity"),
    ("residual", "none"),
    ("feed_forward", "none"),
    ("feed_forward", "linear"),
    ("decoder_layer", "feed_forward_twice"),
]


def kinds(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: {"kind": value} if isinstance(value, str) else value for name, value in changes.items()}


def decoding(beam: int) -> Decoding:
    return Decoding(beam=beam, length_penalty=0, max_length_factor=1, max_length_offset=30, batch_tokens=2000)


def opened(folder: Path) -> Any:
    return ctranslate2.Translator(str(folder), inter_threads=1, intra_threads=1)


def pieces(folder: Path, sentences: Sequence[str]) -> list[list[str]]:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "subwords.model"))
    found: list[list[str]] = processor.encode(list(sentences), out_type=str)
    return found


def translations(folder: Path, sentences: Sequence[str], beam: int) -> list[str]:
    """Translate as a user of CTranslate2 would who has read our help."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "subwords.model"))
    results = opened(folder).translate_batch(pieces(folder, sentences), beam_size=beam, length_penalty=0)
    return [processor.decode(result.hypotheses[0]) for result in results]


def log_probabilities(folder: Path, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
    results = opened(folder).score_batch(pieces(folder, sources), pieces(folder, targets))
    return [sum(result.log_probs) for result in results]


def scrambled(described: dict[str, Any], vocabulary: int) -> Seq2Seq:
    """A network none of whose parameters is zero or one, as after training."""
    torch.manual_seed(1)
    network = weights.build(described, vocabulary).eval()
    for weight in network.parameters():
        weight.data.add_(torch.randn(weight.shape), alpha=0.2)
    return network


@pytest.fixture(scope="module")
def subwords(subwords_model: Path) -> Subwords:
    return Subwords(subwords_model)


@pytest.fixture(scope="module")
def trained(subwords_model: Path, subwords: Subwords, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model that has learnt to answer each sentence with the next one."""
    described = options(width=32, hidden=64, encoder_layers=1, decoder_layers=1, max_length=200)
    torch.manual_seed(2)
    network = weights.build(described, len(subwords)).train()
    answers = subwords.encode(ANSWERS)
    src = pad([[*ids, EOS] for ids in subwords.encode(SENTENCES)])
    tgt_in, tgt_out = pad([[BOS, *ids] for ids in answers]), pad([[*ids, EOS] for ids in answers])
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(120):
        scores = network(src, padding_mask(src, PAD), tgt_in).log_softmax(-1).gather(-1, tgt_out[..., None])[..., 0]
        optimiser.zero_grad()
        scores[tgt_out != PAD].mean().neg().backward()
        optimiser.step()
    folder = tmp_path_factory.mktemp("trained")
    config = {"network": described, "vocabulary": len(subwords), "subwords": subwords.digest}
    weights.save(network, config, folder)
    shutil.copy(subwords_model, folder)
    return folder


@pytest.mark.parametrize("changes", HELD, ids=lambda changes: "-".join(map(str, changes.values())))
def test_it_computes_what_the_network_computes(
    changes: dict[str, Any], subwords_model: Path, subwords: Subwords, tmp_path: Path
) -> None:
    described = options(max_length=200, **kinds(changes))
    network = scrambled(described, len(subwords))
    exporting.write(network, described, subwords_model, tmp_path / "out", quantization="float32")
    ours = Translator(network, subwords, decoding(1), CPU).log_probabilities(SENTENCES, ANSWERS)
    assert log_probabilities(tmp_path / "out", SENTENCES, ANSWERS) == pytest.approx(ours, abs=1e-4)

    src = pad([[*ids, EOS] for ids in subwords.encode(SENTENCES)])
    limits = torch.full((len(src),), 11)  # EOS counted: a network that has learnt nothing seldom ends
    ids = greedy(network, src, padding_mask(src, PAD), bos=BOS, eos=EOS, forbidden=(PAD, BOS), max_lengths=limits)
    results = opened(tmp_path / "out").translate_batch(
        pieces(tmp_path / "out", SENTENCES),
        beam_size=1,
        max_decoding_length=10,
        suppress_sequences=[[piece] for piece in subwords.pieces([PAD, BOS])],  # training does that
    )
    assert [result.hypotheses[0] for result in results] == [subwords.pieces(row or []) for row in ids]


@pytest.mark.parametrize("beam", [1, 4])
def test_its_translations_are_ours(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beam: int) -> None:
    entente(monkeypatch, trained, tmp_path / "out")
    translator = Translator.load(trained, "cpu", decoding(beam))
    assert list(translator.translate(SENTENCES)) == translations(tmp_path / "out", SENTENCES, beam) == ANSWERS


def test_in_8_bits_it_is_smaller_and_translates(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for quantization in ("float32", "int8"):
        entente(monkeypatch, trained, tmp_path / quantization, "--quantization", quantization)
    exact, small = (tmp_path / name / "model.bin" for name in ("float32", "int8"))
    assert small.stat().st_size < 0.6 * exact.stat().st_size  # positions and norms stay as they are
    assert translations(small.parent, SENTENCES, 1) == ANSWERS


@pytest.mark.parametrize("quantization", ["int8", "int16", "float16"])
def test_quantising_leaves_the_network_alone(quantization: str, trained: Path, tmp_path: Path) -> None:
    network = weights.load(trained)
    described = weights.read_config(trained)["network"]
    exporting.write(network, described, trained / "subwords.model", tmp_path / "out", quantization=quantization)
    before = weights.load(trained).state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_what_it_cannot_hold_is_refused_by_name(
    name: str, kind: str, subwords_model: Path, subwords: Subwords, tmp_path: Path
) -> None:
    described = options(**kinds({name: kind}))
    network = weights.build(described, len(subwords))
    with pytest.raises(EntenteError, match=rf"model\.{name} is {kind} \(it can hold \w+"):
        exporting.write(network, described, subwords_model, tmp_path / "out", quantization="float32")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("described", "complaint"),
    [
        (options(kind="unmasked_transformer"), "model.kind is unmasked_transformer"),
        (recurrent_options(), "model.kind is recurrent"),
        (options(encoder_layers=0), "model.encoder_layers is 0"),
        (options(decoder_layers=0), "model.decoder_layers is 0"),
    ],
)
def test_other_networks_are_refused(
    described: dict[str, Any], complaint: str, subwords_model: Path, subwords: Subwords, tmp_path: Path
) -> None:
    network = weights.build(described, len(subwords))
    with pytest.raises(EntenteError, match=complaint):
        exporting.write(network, described, subwords_model, tmp_path / "out", quantization="float32")


def test_no_option_of_the_transformer_is_unheard_of() -> None:
    sizes = {"width", "hidden", "heads", "encoder_layers", "decoder_layers", "max_length", "vocabulary"}
    not_of_training = sizes | {"shared_embeddings"} | exporting._HELD.keys()
    training = {"dropout", "attention_dropout", "feed_forward_dropout"}
    assert set(inspect.signature(Transformer).parameters) == not_of_training | training


def test_it_knows_the_quantizations_that_there_are() -> None:
    assert sorted(QUANTIZATIONS) == sorted(ACCEPTED_MODEL_TYPES)


def entente(monkeypatch: pytest.MonkeyPatch, model: Path, folder: Path, *words: str) -> None:
    command = ["entente", "export", "--to", "ctranslate2", str(folder), "--model", str(model)]
    monkeypatch.setattr(sys, "argv", [*command, *words])
    main()


def test_without_the_package_it_says_how_to_get_it(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(SystemExit, match=r"^error: .*pip install 'entente\[ctranslate2\]'"):
        entente(monkeypatch, trained, tmp_path / "out")


def test_a_folder_with_something_in_it_is_replaced_by_force_alone(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    entente(monkeypatch, trained, folder)  # an empty one is no loss
    (folder / "mine").touch()
    with pytest.raises(SystemExit, match=r"^error: .*out is not empty.*--force"):
        entente(monkeypatch, trained, folder)
    assert (folder / "mine").exists()
    entente(monkeypatch, trained, folder, "--force")
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.bin",
        "shared_vocabulary.json",
        "subwords.model",
    ]


def test_what_must_not_be_replaced_is_not_by_force_either(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder, complaint in (
        (trained, "is or holds the model"),
        (trained.parent, "is or holds the model"),
        (Path(), "the folder you are in"),
        (tmp_path, "the folder you are in"),
        (tmp_path / "file", "no folder"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{complaint}"):
            entente(monkeypatch, trained, folder, "--force")
    assert (trained / "weights.safetensors").exists()


def test_a_failure_leaves_what_was_there(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    entente(monkeypatch, trained, tmp_path / "out")
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(SystemExit, match=r"^error: .*No space left"):
        entente(monkeypatch, trained, tmp_path / "out", "--force")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "subwords.model").exists()
