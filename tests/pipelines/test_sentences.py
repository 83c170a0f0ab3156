"""Translations do not depend on what is translated beside them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from entente.decoding.translator import Translation, Translator
from pipelines import soak
from pipelines.soaks import sentences


def test_translations_alone_in_batches_and_shuffled_are_the_same(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["soak", "sentences", "--count", "30"])
    soak.main()
    _, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 * len(sentences.BATCHES)
    assert all(row.split()[-3:-1] == ["30", "30"] for row in rows)


def test_a_translation_that_depends_on_its_batch_is_found(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    translated = Translator.hypotheses

    def unsteady(translator: Translator, lines: Iterable[str], n: int) -> Iterator[list[Translation]]:
        together = list(lines)
        for (best,) in translated(translator, together, n):
            yield [Translation(f"{best.text}{len(together)}", best.score, best.log_probability)]

    monkeypatch.setattr(Translator, "hypotheses", unsteady)
    monkeypatch.setattr("sys.argv", ["soak", "sentences", "--count", "10"])
    with pytest.raises(SystemExit, match="translations depend on their batch"):
        soak.main()
    assert all(row.split()[-3:-1] == ["10", "0"] for row in capsys.readouterr().out.splitlines()[1:])


def test_without_a_test_set_there_is_nothing_to_compare(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["soak", "sentences", "--model", str(tmp_path / "artifacts/model")])
    with pytest.raises(SystemExit, match=r"no test set in .*data/prepared"):
        soak.main()
