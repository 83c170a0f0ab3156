"""The guide: what is in git is what the command writes, as far as sources and archived runs decide it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import EntenteError
from entente.guide import demonstrations, experiments, template
from entente.guide.template import PAGES, Verb
from entente.guide.trained import Draw, Trained, trained
from entente.model import weights
from entente.tracking.archive import write_archive
from pipelines import claims, guide
from tests.pipelines.conftest import stand_in
from tests.pipelines.thimble import ROOT

NOUNS = {"cat": False, "dog": False, "house": True}  # pieces of the small model
STALE = "run `python -m pipelines.guide`, look at what changed in docs/guide/, and commit it"

Told = tuple[dict[str, Verb], dict[str, Draw]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What the archived runs say, and their figures."""
    with pytest.MonkeyPatch.context() as patch:
        stand_in(ROOT, patch)
        return guide.archived(ROOT / claims.KEPT, tmp_path_factory.mktemp("evaluations"))


@pytest.fixture(scope="module")
def looked_into(model_folder: Path) -> Trained:
    return trained(model_folder, Decoding(max_length_factor=0, max_length_offset=8), NOUNS)


@pytest.fixture
def translator(model_folder: Path) -> Translator:
    return Translator.load(model_folder, "cpu", Decoding())


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_in_git_are_what_runs_and_sources_say(told: Told, page: str) -> None:
    pages = guide.filled(told[0] | {"model": lambda name: "\0"})  # the trained model is not in git
    expected = re.escape(pages[page]).replace("\0", ".+?")
    assert re.fullmatch(expected, read(page), re.DOTALL), STALE


def read(page: str) -> str:
    return (ROOT / guide.GUIDE / f"{page}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = read(page)
    assert "{{" not in text
    for target in re.findall(r"\]\(([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        file = ROOT / guide.GUIDE / name
        assert file.exists(), target
        headings = [line.lstrip("# ").lower() for line in file.read_text().splitlines()] if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", line).replace(" ", "-") for line in headings}, target


def test_every_figure_in_git_is_shown() -> None:
    shown = {name for page in PAGES for name in template.FIGURE.findall(read(page))}
    assert {file.stem for file in (ROOT / guide.GUIDE).glob("*.png")} == shown


def test_the_same_model_and_runs_make_the_same_guide(told: Told, looked_into: Trained, tmp_path: Path) -> None:
    verbs, drawn = told
    verbs = verbs | {"model": looked_into.facts.__getitem__}
    (tmp_path / "one").mkdir()
    (tmp_path / "one/old.png").touch()
    one, other = (written(tmp_path / name, verbs, {**drawn, **looked_into.figures}) for name in ("one", "other"))
    assert one == other
    assert one.keys() == {file.name for file in (ROOT / guide.GUIDE).iterdir()}
    assert not [name for name, content in one.items() if b"{{" in content[:100_000] and name.endswith(".md")]


def written(folder: Path, verbs: Mapping[str, Verb], drawn: Mapping[str, Draw]) -> dict[str, bytes]:
    guide.write(folder, verbs, drawn)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_sentence_that_the_runs_do_not_bear_out_is_not_written(told: Told) -> None:
    verbs = told[0]
    assert verbs["undecided"]("residual", "post_norm").endswith("seeds: 1 and 3)")
    with pytest.raises(EntenteError, match="calls post_norm worse by test/test/bleu, the runs call it undecided"):
        template.fill("It is {{worse residual post_norm}}.", verbs)


def test_what_a_template_speaks_of_must_be_there() -> None:
    with pytest.raises(EntenteError, match="no verb 'shout': there are class, code"):
        template.fill("{{shout}}", template.of_sources())
    with pytest.raises(EntenteError, match=r"speaks of Attention in entente\.model\.attention, which is gone"):
        template.fill("{{class model.attention Attention}}", template.of_sources())


def test_runs_that_are_missing_are_named(tmp_path: Path) -> None:
    write_archive(tmp_path / "claims.tar.xz", {})
    with pytest.MonkeyPatch.context() as patch:
        stand_in(ROOT, patch)
        with pytest.raises(
            EntenteError, match=r"lacks runs .*: additive_attention, .*, one_vector, .*`python -m pipelines\.claims`"
        ):
            guide.archived(tmp_path / "claims.tar.xz", tmp_path)


def test_without_positions_the_same_words_have_the_same_answer(told: Told) -> None:
    same, other = told[0]["role_pairs"]("no_positions_encoder").splitlines()[2:]
    found = re.search(r"the same words \| (\d+) of (\d+) \| (\d+) of", same)
    assert found
    alike, pairs, right = map(int, found.groups())
    assert alike == pairs >= right
    assert "| other words" in other


def test_multi30k_is_trained_as_the_ledger_has_it() -> None:
    assert experiments.MULTI30K == claims.MULTI30K


def test_a_head_followed_by_hand_is_what_the_network_computes(translator: Translator) -> None:
    look = demonstrations.look(translator, demonstrations.RELATIVE, "sleeps", "cat")
    assert look.apart < 1e-5
    assert float(look.weights.sum()) == pytest.approx(1)
    assert look.weights.numpy() == pytest.approx(
        look.every[look.layer - 1, look.head - 1, look.query].numpy(), abs=1e-6
    )
    assert len(look.pieces) == len(look.weights)


def test_demonstrations_show_the_laws(translator: Translator, model_folder: Path) -> None:
    unplaced = demonstrations.altered(model_folder, {"encoder_positions": {"kind": "none"}})
    orders = demonstrations.CHASED, demonstrations.REVERSED
    assert demonstrations.reordered(translator, unplaced, *orders).nearest < 1e-12
    assert demonstrations.reordered(translator, weights.load(model_folder), *orders).nearest > 1e-3

    departures = demonstrations.additivity(translator, weights.load(model_folder), "She is not happy.")
    assert {name: share < 1e-12 for name, share in departures.items()} == {
        name: name.startswith("attention") for name in departures
    }
    lines = demonstrations.along(translator, weights.load(model_folder), "She is not happy.", 5)
    straight = dict(lines.pop("attention, in its values"))
    assert list(straight.values()) == pytest.approx(list(straight), abs=1e-12)
    assert all(dict(line)[1] == pytest.approx(1) and dict(line)[-2] > -1.9 for line in lines.values())

    unmasked = demonstrations.altered(model_folder, {"kind": "unmasked_transformer"})
    sentences = demonstrations.RELATIVE, "Le chat dort."
    assert demonstrations.leak(translator, translator.network, *sentences) < 1e-5
    assert demonstrations.leak(translator, unmasked, *sentences) > 1e-3


def test_neighbours_are_the_nearest_and_not_the_word_itself(translator: Translator, looked_into: Trained) -> None:
    [(word, near)] = demonstrations.neighbours(translator, ["cat" * 9, "the"], 3).items()  # the first has many pieces
    assert word == "the"
    assert "the" not in dict(near)
    cosines = [cosine for _, cosine in near]
    assert cosines == sorted(cosines, reverse=True)
    assert all(value for value in looked_into.facts.values())
