import csv
from pathlib import Path

from entente.evaluation import report
from entente.evaluation.probes import Probe, judge
from entente.evaluation.scores import Bucket, score

SOURCES = ["Hello.", 'He says "yes".', "The cat is sleeping on the bed."]
FRENCH = ["Bonjour.", 'Il dit "oui".', "Le chat dort sur le lit."]
REFERENCES = [["Bonjour.", "Salut."], ['Il dit "oui".'], ["Le chat dort sur le lit."]]


def read(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_translations_read_back_as_they_were(tmp_path: Path) -> None:
    report.write_translations(tmp_path / "test.tsv", SOURCES, FRENCH, REFERENCES)
    header, *rows = read(tmp_path / "test.tsv", "\t")
    assert header == ["source", "hypothesis", "reference_1", "reference_2"]
    assert [row[0] for row in rows] == SOURCES
    assert [row[1] for row in rows] == FRENCH
    assert [[cell for cell in row[2:] if cell] for row in rows] == REFERENCES


def test_buckets_name_their_bar(tmp_path: Path) -> None:
    buckets = [("test", Bucket("01-05", 7, 91.23456)), ("longer", Bucket("06+", 2, 10.0))]
    report.write_buckets(tmp_path / "bleu_by_length.csv", buckets)
    assert read(tmp_path / "bleu_by_length.csv", ",") == [
        ["split", "length", "bucket", "count", "bleu"],
        ["test", "01-05", "test 01-05", "7", "91.23"],
        ["longer", "06+", "longer 06+", "2", "10.00"],
    ]


def test_verdicts_of_a_corpus_without_probes_leave_the_header(tmp_path: Path) -> None:
    report.write_verdicts(tmp_path / "probes.csv", [])
    assert [row[0] for row in read(tmp_path / "probes.csv", ",")] == ["probe"]


def test_figures_flatten_to_slashed_names() -> None:
    assert report.flatten({"test": {"bleu": 90.0, "all_references": {"bleu": 95.0}}}, "") == {
        "test/bleu": 90.0,
        "test/all_references/bleu": 95.0,
    }


def test_the_headline_leaves_single_phenomena_to_the_table() -> None:
    probes = {"mean": 97.5, "worst": 92.0, "within": {"clitics": 98.0}, "longer": {}}
    metrics = {"test": {"bleu": 90.0, "all_references": {"bleu": 95.0}}, "probes": probes}
    assert report.headline(metrics) == {"test": metrics["test"], "probes": {"mean": 97.5, "worst": 92.0}}
    assert report.headline({"test": {"bleu": 90.0}}) == {"test": {"bleu": 90.0}}


def test_figures_and_signatures_have_one_shape() -> None:
    first, every = score(FRENCH, [own[:1] for own in REFERENCES]), score(FRENCH, REFERENCES)
    figures, signatures = report.score_figures(first, every), report.signatures(first, every)
    assert report.flatten(figures, "").keys() == report.flatten(signatures, "").keys()
    assert "all_references/bleu" in report.flatten(figures, "")
    assert "all_references" not in report.score_figures(first, None)


def test_the_closing_message_says_what_was_achieved_and_what_to_type() -> None:
    probes = [
        Probe("agreement", "a", "b", "c", longer=False),
        Probe("agreement", "d", "e", "f", longer=True),
        Probe("depth", "g", "h", "i", longer=True),
    ]
    scores = score(FRENCH, REFERENCES)
    metrics = {
        "test": report.score_figures(scores, scores),
        "probes": report.probe_figures(judge(probes, ["b", "?", "h"], [1.0, 1.0, 1.0])),
    }
    text = report.closing(
        metrics, scores["bleu"].signature, [("Hello.", "Bonjour.")], [('entente translate "I love you."', "translate")]
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "test 100.0 100.0 0.0 100.0" in lines
    assert "test, all references 100.0 100.0 0.0 100.0" in lines
    assert {"agreement 100.0 0.0", "depth 100.0", "mean 100.0 50.0", "worst 100.0 0.0"} <= set(lines)
    assert "Hello. → Bonjour." in lines
    assert 'entente translate "I love you." translate' in lines
    assert scores["bleu"].signature in text


def test_a_corpus_without_probes_gets_no_table_of_them() -> None:
    scores = score(FRENCH, REFERENCES)
    assert "Probes" not in report.closing({"test": report.score_figures(scores, None)}, "", [("a", "b")], [("c", "d")])
