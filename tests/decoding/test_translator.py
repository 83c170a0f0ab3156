import json
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from entente.decoding.beam import beam_search
from entente.decoding.ensemble import load_together
from entente.decoding.settings import Decoding
from entente.decoding.translator import WINDOW, Translator
from entente.errors import EntenteError
from entente.model import weights
from entente.model.masks import padding_mask
from entente.text.subwords import BOS, EOS, PAD, Subwords, learn
from tests.conftest import SENTENCES
from tests.decoding.networks import Copy
from tests.model.networks import options

CPU = torch.device("cpu")
DECODING = Decoding(beam=3, length_penalty=0.6, max_length_factor=1.0, max_length_offset=10, batch_tokens=2000)
NETWORK = options(hidden=32, heads=2, encoder_layers=1, dropout=0.3)


@pytest.fixture(scope="session")
def subwords(subwords_model: Path) -> Subwords:
    return Subwords(subwords_model)


@pytest.fixture
def copier(subwords: Subwords) -> Translator:
    """Translates every sentence into itself, and reads at most 40 pieces."""
    return Translator(Copy(len(subwords), 40), subwords, DECODING, CPU)


@pytest.fixture(params=[1, 3], ids="beam {}".format)
def either(copier: Translator, request: pytest.FixtureRequest) -> Translator:
    """The same, by greedy search or with a beam."""
    return Translator(copier.network, copier.subwords, replace(DECODING, beam=request.param), CPU)


@pytest.fixture
def folder(tmp_path: Path, subwords_model: Path, subwords: Subwords) -> Path:
    """A complete model: a Transformer that has learnt nothing."""
    torch.manual_seed(0)
    config = {"network": NETWORK, "vocabulary": len(subwords), "subwords": subwords.digest, "fingerprint": "0"}
    weights.save(weights.build(NETWORK, len(subwords)), config, tmp_path / "model")
    shutil.copy(subwords_model, tmp_path / "model" / "subwords.model")
    return tmp_path / "model"


def test_translations_come_in_order_window_after_window(either: Translator) -> None:
    sentences = [f"{i} {'cat ' * (i % 7)}".strip() for i in range(WINDOW + 100)]
    assert list(either.translate(sentences)) == sentences


def test_an_endless_stream_is_read_no_further_than_its_window(either: Translator) -> None:
    numbers = count()
    assert list(islice(either.translate(str(i) for i in numbers), 3)) == ["0", "1", "2"]
    assert next(numbers) == WINDOW


def test_blank_lines_stay_blank_and_in_place(either: Translator) -> None:
    assert list(either.translate(["", "I love you.", " \t ", "\u200b", "The cat sleeps."])) == [
        "",
        "I love you.",
        "",
        "",
        "The cat sleeps.",
    ]
    assert list(either.translate([])) == []


def test_sentences_are_normalised_as_the_corpus_was(either: Translator) -> None:
    sentence = unicodedata.normalize("NFD", "  Élodie n'a pas\tvu l'été ") + "\r\n"
    assert list(either.translate([sentence])) == ["Élodie n'a pas vu l'été"]


@pytest.mark.parametrize("mark", [". ", "! ", "? ", "… ", '." ', "; ", ", "])
def test_long_sentences_are_split_at_punctuation_and_lose_nothing(either: Translator, mark: str) -> None:
    sentence = mark.join(f"The cat sleeps {i}" for i in range(30)) + "."
    assert list(either.translate([sentence, "I love you."])) == [sentence, "I love you."]


def test_clauses_that_fit_together_stay_together(either: Translator) -> None:
    sentence = ", ".join(["cat"] * 40)
    (best,) = next(either.hypotheses([sentence], 1))
    assert best.text == sentence
    parts = either._parts(sentence)
    fewest = -(-len(either.subwords.encode([sentence])[0]) // 39)
    assert len(parts) <= fewest + 1


def test_a_long_sentence_without_punctuation_is_refused_after_those_before_it(either: Translator) -> None:
    translations = either.translate(["I love you.", "cat " * 100, "The cat sleeps."])
    assert next(translations) == "I love you."
    with pytest.raises(EntenteError, match=r"`cat cat .* at most 40"):
        next(translations)


def test_hypotheses_are_distinct_and_begin_with_the_translation(folder: Path) -> None:
    translator = Translator.load(folder, "cpu", DECODING)
    best = list(translator.translate(SENTENCES))
    for translations, text in zip(translator.hypotheses(SENTENCES, 3), best, strict=True):
        assert translations[0].text == text
        assert len({translation.text for translation in translations}) == len(translations)
        scores = [translation.score for translation in translations]
        assert scores == sorted(scores, reverse=True)


def test_greedily_a_translation_is_the_one_hypothesis(folder: Path, copier: Translator) -> None:
    translator = Translator.load(folder, "cpu", replace(DECODING, beam=1))
    assert list(translator.translate(SENTENCES)) == [one.text for [one] in translator.hypotheses(SENTENCES, 1)]
    greedily = Translator(copier.network, copier.subwords, replace(DECODING, beam=1), CPU)
    lines = ["", "one, two", "\u2603", "A \u2603", f"{'cat, ' * 30}".strip(), " ", f"{'A cat. ' * 30}\u2603"]
    found = list(greedily.translate(lines))
    assert found == [one.text for [one] in greedily.hypotheses(lines, 1)]
    assert found == [line.strip() for line in found]
    assert [bool(line) for line in found] == [bool(line.strip()) for line in lines]


@pytest.mark.parametrize(("beam", "rows"), [(1, 20), (3, 30)])
def test_a_batch_holds_as_many_sentences_as_its_pieces_allow_and_greedily_twice_as_many(
    copier: Translator, monkeypatch: pytest.MonkeyPatch, beam: int, rows: int
) -> None:
    [ids] = copier.subwords.encode(["A cat."])
    step, seen = copier.network.step, []

    def watched(tokens: Any, state: Any) -> Any:
        seen.append(len(tokens))
        return step(tokens, state)

    monkeypatch.setattr(copier.network, "step", watched)
    decoding = replace(DECODING, beam=beam, batch_tokens=10 * (len(ids) + 1))
    cats = ["A cat."] * 50
    assert list(Translator(copier.network, copier.subwords, decoding, CPU).translate(cats)) == cats
    assert max(seen) == rows


def test_hypotheses_of_a_split_sentence_combine_those_of_its_parts(copier: Translator) -> None:
    parts = [f"The cat sleeps {'and sleeps ' * 3}{i}." for i in range(3)]
    together = next(copier.hypotheses([" ".join(parts)], 3))
    alone = [translations[0] for translations in copier.hypotheses(parts, 3)]
    assert together[0].text == " ".join(parts)
    assert together[0].log_probability == pytest.approx(sum(part.log_probability for part in alone))
    assert len(together) == 3


@pytest.mark.parametrize("n", [0, 4])
def test_more_hypotheses_than_the_beam_holds_are_refused(copier: Translator, n: int) -> None:
    with pytest.raises(EntenteError, match="from 1 to the beam, 3"):
        copier.hypotheses(["I love you."], n)


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)  # as the tests have it


@pytest.mark.usefixtures("two_threads")
def test_batches_side_by_side_come_in_order_and_leave_the_threads_as_they_were(
    either: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = [f"{i} {'cat ' * (i % 7)}".strip() for i in range(60)]
    seen = set()
    step = either.network.step

    def watched(*arguments: Any) -> Any:
        seen.add((threading.current_thread().name, torch.get_num_threads()))
        return step(*arguments)

    monkeypatch.setattr(either.network, "step", watched)
    several = Translator(either.network, either.subwords, replace(either.decoding, batch_tokens=50), CPU)
    assert list(several.translate(sentences)) == sentences
    assert {threads for _, threads in seen} == {1}
    assert threading.current_thread().name not in {name for name, _ in seen}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_a_batch_is_raised_and_leaves_the_threads_as_they_were(
    either: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise EntenteError("no")

    monkeypatch.setattr(either.network, "step", broken)
    several = Translator(either.network, either.subwords, replace(either.decoding, batch_tokens=50), CPU)
    with pytest.raises(EntenteError, match="no"):
        list(several.translate(SENTENCES * 10))
    assert torch.get_num_threads() == 2


def test_a_translation_does_not_depend_on_its_batch(folder: Path) -> None:
    translator = Translator.load(folder, "cpu", replace(DECODING, batch_tokens=200))
    sentences = [f"{SENTENCES[i % 5]} {i}"[-30:] for i in range(20)]
    together = list(translator.hypotheses(sentences, 3))
    for sentence, translations in zip(sentences, together, strict=True):
        (alone,) = translator.hypotheses([sentence], 3)
        assert [one.text for one in alone] == [one.text for one in translations]
        assert [one.score for one in alone] == pytest.approx([one.score for one in translations], abs=1e-4)
    greedily = Translator.load(folder, "cpu", replace(DECODING, batch_tokens=200, beam=1))
    assert list(greedily.translate(sentences)) == [*(text for one in sentences for text in greedily.translate([one]))]


def test_the_beam_and_teacher_forcing_agree_on_probabilities(folder: Path) -> None:
    translator = Translator.load(folder, "cpu", DECODING)
    network, sources = translator.network, translator.subwords.encode(SENTENCES)
    src = torch.nn.utils.rnn.pad_sequence([torch.tensor([*ids, EOS]) for ids in sources], batch_first=True)
    with torch.inference_mode():
        found = beam_search(
            network.step,
            network.start(network.encode(src, padding_mask(src, PAD)), padding_mask(src, PAD)),
            bos=BOS,
            eos=EOS,
            forbidden=(PAD, BOS),
            beam=3,
            n_best=3,
            length_penalty=1.0,
            max_lengths=torch.tensor([3, 5, 8, 13, 40]),
        )
    for ids, hypotheses in zip(sources, found, strict=True):
        again = translator._score([ids] * 3, [hypothesis.ids for hypothesis in hypotheses])
        assert [hypothesis.log_probability for hypothesis in hypotheses] == pytest.approx(again, abs=1e-3)


def test_log_probabilities_are_sums_over_the_targets_pieces_and_eos(folder: Path) -> None:
    translator = Translator.load(folder, "cpu", DECODING)
    sources, targets = SENTENCES[:4], ["Je t'aime.", "", SENTENCES[4], "Le chat dort."]
    together = translator.log_probabilities(sources, targets)
    for source, target, log_probability in zip(sources, targets, together, strict=True):
        src = torch.tensor([[*translator.subwords.encode([source])[0], EOS]])
        ids = translator.subwords.encode([target])[0]
        with torch.inference_mode():
            logits = translator.network(src, padding_mask(src, PAD), torch.tensor([[BOS, *ids]]))[0]
        expected = sum(float(row.log_softmax(-1)[i]) for row, i in zip(logits, [*ids, EOS], strict=True))
        assert log_probability == pytest.approx(expected, abs=1e-4)


def test_log_probabilities_of_what_does_not_fit_are_refused(copier: Translator) -> None:
    with pytest.raises(EntenteError, match="at most 40"):
        copier.log_probabilities(["I love you."], ["chat " * 50])


@pytest.mark.parametrize("beam", [1, 3])
def test_scores_that_are_no_numbers_are_no_translation(folder: Path, beam: int) -> None:
    translator = Translator.load(folder, "cpu", replace(DECODING, beam=beam))
    for parameter in translator.network.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(EntenteError, match="diverged"):
        list(translator.translate(["I love you."]))


def test_subwords_of_another_training_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["subwords"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EntenteError, match=r"subwords\.model does not belong to the weights"):
        Translator.load(folder, "cpu", DECODING)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "subwords.model"])
def test_a_missing_file_is_named_with_its_cure(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EntenteError, match=rf"{name}.*dvc repro"):
        Translator.load(folder, "cpu", DECODING)


def test_a_missing_folder_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"no model in .*nowhere.*dvc repro.*--model"):
        Translator.load(tmp_path / "nowhere", "cpu", DECODING)


@pytest.mark.parametrize(
    ("name", "value"), [("beam", 0), ("batch_tokens", 0), ("max_length_offset", 0), ("length_penalty", float("nan"))]
)
def test_a_search_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(EntenteError, match=f"decoding: {name} is {value}"):
        Decoding(**{**asdict(DECODING), name: value})


def test_who_asks_for_nothing_else_gets_the_search_of_an_evaluation() -> None:
    assert Decoding(**yaml.safe_load(Path("conf", "decoding", "beam.yaml").read_text(encoding="utf-8"))) == Decoding()


@pytest.mark.parametrize("option", ["beam", "greedy"])
def test_every_option_of_conf_is_a_search(option: str) -> None:
    text = Path("conf", "decoding", f"{option}.yaml").read_text(encoding="utf-8")
    assert Decoding(**yaml.safe_load(text)).beam >= 1


def test_trainings_that_translate_together_share_their_subwords(folder: Path, tmp_path: Path) -> None:
    alone = list(load_together([folder], "cpu", DECODING).translate(SENTENCES))
    assert alone == list(Translator.load(folder, "cpu", DECODING).translate(SENTENCES))
    assert list(load_together([folder, folder], "cpu", DECODING).translate(SENTENCES)) == alone
    other = shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "text").write_text("\n".join(f"{number} autres mots" for number in range(200)), encoding="utf-8")
    learn([tmp_path / "text"], other, kind="bpe", vocabulary=290, threads=1, sample=1000)
    config = json.loads((other / "config.json").read_text())
    config |= {"subwords": Subwords(other / "subwords.model").digest, "vocabulary": 290}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(EntenteError, match="other has other subwords than"):
        load_together([folder, other], "cpu", DECODING)
