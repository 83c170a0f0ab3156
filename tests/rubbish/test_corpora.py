"""Corpora: what cannot be read is refused, what disturbs is cleaned away, what is strange but right stays."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from entente.text.corpus import LONGEST_LINE, read_lines
from pipelines import prepare
from tests.rubbish.table import refused, table

SPLITS = ("train", "val", "test")
GOOD = ("The cat sleeps.", "Le chat dort.")


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a repository with a downloaded corpus of three splits and what was prepared of an earlier one."""
    monkeypatch.chdir(tmp_path)
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    for split in SPLITS:
        for side, line in zip(("en", "fr"), GOOD, strict=True):
            (raw / f"{split}.{side}").write_text(f"{line} {split}\n")
    Path("data/prepared").mkdir()
    Path("data/prepared/train.en").write_text("of an earlier run\n")
    write({})
    return raw


def write(changes: dict[str, Any]) -> None:
    texts = [
        {"file": f"{split}.{side}", "member": None, "columns": [side], "split": split}
        for split in SPLITS
        for side in ("en", "fr")
    ]
    limits = {"max_characters": 500, "max_words": 100, "max_ratio": 3.0, "ratio_slack": 10}
    groups: dict[str, Any] = {
        "name": "c",
        "download": {"kind": "files"},
        "tests": ["test"],
        "probes": None,
        "texts": texts,
    }
    groups |= {"split": None, "cleaning": limits}
    Path("params.yaml").write_text(yaml.safe_dump({"corpus": groups | changes}))


@table(
    ("no line", {"train.en": b"", "train.fr": b""}, "the corpus is empty: its files hold no line"),
    ("a side without a line", {"train.fr": b""}, r"train\.en has 1 lines and \S*train\.fr 0: the sides .* aligned"),
    ("a side that is longer", {"val.fr": b"Un.\nDeux.\n"}, r"val\.en has 1 lines and \S*val\.fr 2: the sides"),
    ("a side that is missing", {"train.fr": None}, r"train\.fr is missing: `dvc repro download` fetches it"),
    ("a folder for a side", {"train.fr": {}}, r"train\.fr is a folder: move it away"),
    (
        "Latin-1",
        {"train.fr": "d\xe9j\xe0\n".encode("latin-1")},
        r"train\.fr, line 1: byte 2 \(0xe9\) is not UTF-8; conv",
    ),
    ("UTF-16", {"train.fr": "déjà\n".encode("utf-16")}, r"train\.fr, line 1: byte 1 \(0xff\) is not UTF-8; convert"),
    (
        "half of a surrogate pair",
        {"train.fr": b"a\n\xed\xa0\x80\n"},
        r"train\.fr, line 2: byte 1 \(0xed\) is not UTF-8",
    ),
    ("UTF-8 longer than it need be", {"train.fr": b"\xc0\xafx\n"}, r"train\.fr, line 1: byte 1 \(0xc0\) is not UTF-8"),
    ("a character cut short", {"train.fr": b"Le caf\xc3"}, r"train\.fr, line 1: byte 7 \(0xc3\) is not UTF-8"),
    ("a picture", {"train.en": b"\x89PNG\r\n\x1a\n\x00"}, r"train\.en, line 1: byte 1 \(0x89\) is not UTF-8"),
    (
        "nothing but spaces",
        {"train.en": b"  \n", "train.fr": b"\t\n"},
        r"nothing of 1 pairs \(1 empty.*corpus\.cleaning",
    ),
    ("nothing that can be seen", {"train.en": b"\xe2\x80\x8b\n"}, r"cleaning leaves nothing of 1 pairs \(1 empty"),
    (
        "one word against a hundred",
        {"train.fr": b"mot " * 90},
        r"nothing of 1 pairs .*1 unequal.*the right columns are",
    ),
    ("a test without a sentence", {"test.en": b"", "test.fr": b""}, "split `test` is empty: give it sentences"),
)
def test_a_corpus_that_cannot_be_read(corpus: Path, put_in: dict[str, Any], said: str) -> None:
    for name, content in put_in.items():
        (corpus / name).unlink()
        if content == {}:
            (corpus / name).mkdir()
        elif content is not None:
            (corpus / name).write_bytes(content)
    with refused(said):
        prepare.main()
    assert [path.name for path in Path("data/prepared").iterdir()] == ["train.en"]
    assert sorted(path.name for path in Path("data").iterdir()) == ["prepared", "raw"]
    assert not Path("artifacts").exists()


def test_a_line_without_an_end_fills_no_memory(corpus: Path) -> None:
    with (corpus / "train.en").open("wb") as file:
        file.truncate(LONGEST_LINE + 2)  # zeros that no disk holds
    with refused(r"train\.en, line 1 is longer than 67,108,864 bytes: a corpus has a sentence on each line"):
        prepare.main()


@table(
    ("columns that are missing", "The cat.\n", r"train\.tsv, line 1: 1 columns parted by tabs, expected en, fr; mend"),
    ("columns parted by commas", "The cat.,Le chat.\n", r"train\.tsv, line 1: 1 columns parted by tabs"),
    ("a column that ends early", "a\tb\nc\n", r"train\.tsv, line 2: 1 columns parted by tabs, expected en, fr"),
)
def test_a_table_that_cannot_be_read(corpus: Path, put_in: str, said: str) -> None:
    (corpus / "train.tsv").write_text(put_in)
    rest = yaml.safe_load(Path("params.yaml").read_text())["corpus"]["texts"][2:]
    both = {"file": "train.tsv", "member": None, "columns": ["en", "fr"], "split": "train"}
    write({"texts": [both, *rest]})
    with refused(said):
        prepare.main()


NO_PROBE = r"probes\.jsonl, line 1: expected an object with source, target, foil"


@table(
    (
        "probes that are no JSON",
        "{",
        r"probes\.jsonl, line 1: not JSON \(Expecting",
    ),
    (
        "probes without a foil",
        '{"source": "a", "target": "b"}',
        r"probes\.jsonl, line 1: expected an object with source, target, foil",
    ),
    (
        "probes of numbers",
        '{"source": 1, "target": 2, "foil": 3}',
        r"probes\.jsonl, line 1: expected an object with source, target, foil",
    ),
    ("probes in a list", "[1]", NO_PROBE),
)
def test_probes_that_cannot_be_read(corpus: Path, put_in: str, said: str) -> None:
    (corpus / "probes.jsonl").write_text(put_in)
    write({"probes": "probes.jsonl"})
    with refused(said):
        prepare.main()
    assert [path.name for path in Path("data/prepared").iterdir()] == ["train.en"]


@table(
    ("a byte order mark", "\ufeffThe cat.", "The cat."),
    ("a NUL", "The\x00 cat.", "The cat."),
    ("a bell and an escape", "The\x07 \x1b[31mcat.", "The [31mcat."),
    ("a carriage return at the end", "The cat.\r", "The cat."),
    ("a carriage return within", "The\rcat.", "The cat."),
    ("a line separator", "The\u2028cat.", "The cat."),
    ("tabs and other spaces", "The\t\u00a0\u3000cat.", "The cat."),
    ("a zero-width space", "The c\u200bat.", "The cat."),
    ("writing turned round", "\u202eThe cat.\u202c", "The cat."),
    ("an isolate that does not end", "\u2067The cat.", "The cat."),
    ("a soft hyphen", "The c\u00adat.", "The cat."),
    ("an invisible sum", "The c\u2064at.", "The cat."),
    ("an annotation", "\ufff9The cat.\ufffb", "The cat."),
    ("an accent of its own", "The cafe\u0301.", "The café."),
    ("a family in one emoji", "👨\u200d👩\u200d👧 sleep.", "👨\u200d👩\u200d👧 sleep."),
    ("numbers only", "12 345,67", "12 345,67"),
    ("another language", "猫は眠る。", "猫は眠る。"),
    ("writing from right to left", "القط نائم.", "القط نائم."),
    ("a thousand accents", "a" + "\u0301" * 100, "á" + "\u0301" * 99),
    ("markup", "<b>The cat</b> &amp; ${HOME} `rm`", "<b>The cat</b> &amp; ${HOME} `rm`"),
    ("symbols of ours", "<s> </s> <pad> ▁cat", "<s> </s> <pad> ▁cat"),
)
def test_a_line_that_is_cleaned(corpus: Path, put_in: str, said: str) -> None:
    pad = " Le chat dort bien au chaud." * 3
    (corpus / "train.en").write_text(f"{put_in}{pad}\n{GOOD[0]}\n", encoding="utf-8", newline="")
    (corpus / "train.fr").write_text(f"Un{pad}\n{GOOD[1]}\n", encoding="utf-8")
    prepare.main()
    assert list(read_lines(Path("data/prepared/train.en"))) == [f"{said}{pad}", GOOD[0]]


@table(
    ("a line of 10 MB", b"word " * 2_000_000, "too_long"),
    ("a word of 10 MB", b"w" * 10_000_000, "too_long"),
    ("more words than any sentence", b"a " * 101, "too_long"),
    ("a line of control characters", b"\x01\x02\x7f", "empty"),
    ("a sentence against a word", b"word " * 20, "unequal"),
)
def test_a_line_that_is_dropped(corpus: Path, put_in: bytes, said: str) -> None:
    (corpus / "train.en").write_bytes(put_in + b"\nThe cat sleeps.\n")
    (corpus / "train.fr").write_bytes(b"Mot.\nLe chat dort.\n")
    prepare.main()
    tally = json.loads(Path("artifacts/metrics/prepare.json").read_text())
    assert {reason: count for reason, count in tally["dropped"].items() if count} == {said: 1}
    assert list(read_lines(Path("data/prepared/train.en"))) == [GOOD[0]]
