"""From download to encode, as dvc.yaml runs them: on Tatoeba's configuration and a thimble of Tatoeba's shape."""

import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from entente.text.corpus import read_lines
from entente.text.encoded import Encoded
from entente.text.subwords import Subwords
from pipelines import download, encode, learn_subwords, prepare

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Stand in an empty repository with a mirror; return what writes changes to its params.yaml."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.setenv("ENTENTE_MIRROR", "../mirror")
    archive = tmp_path / "mirror" / "www.manythings.org" / "anki" / "fra-eng.zip"
    archive.parent.mkdir(parents=True)
    chance = random.Random(1)
    numbers = [chance.randrange(500) for _ in range(600)]
    lines = [f"I have {n} cats.\tJ'ai {n} {chance.choice(['chats', 'félins'])}\u202f!\tCC-BY" for n in numbers]
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("_about.txt", "about")
        file.writestr("fra.txt", "\n".join(lines))

    def write(changes: dict[str, Any]) -> None:
        corpus = yaml.safe_load((CONF / "corpus" / "tatoeba.yaml").read_text(encoding="utf-8"))
        corpus["split"] |= {"val": 20, "test": 40, "largest": 0.05}
        subwords = yaml.safe_load((CONF / "subwords" / "bpe_2k.yaml").read_text(encoding="utf-8"))
        subwords |= {"vocabulary": 310}
        segmentation = yaml.safe_load((CONF / "segmentation" / "sampled.yaml").read_text(encoding="utf-8"))
        written = {"corpus": corpus | changes, "subwords": subwords, "segmentation": segmentation, "synthetic": []}
        Path("params.yaml").write_text(yaml.safe_dump(written))

    write({})
    return write


@pytest.mark.usefixtures("parameters")
def test_the_stages_hand_on_what_the_next_one_reads(capsys: pytest.CaptureFixture[str]) -> None:
    for stage in (download, prepare, learn_subwords, encode):
        stage.main()
    assert "600 pairs read; dropped 0 empty" in capsys.readouterr().out
    tally = json.loads(Path("artifacts/metrics/prepare.json").read_text())
    assert tally["test"]["sources_in_train"] == 0
    subwords = Subwords(Path("artifacts/subwords/subwords.model"))
    for split, segmentations in (("train", 8), ("val", 1)):  # what is only judged is cut in one way
        for side in ("en", "fr"):
            rows = Encoded(Path(f"data/encoded/{split}.{side}"))
            lines = read_lines(Path(f"data/prepared/{split}.{side}"))
            expected = [line for line in lines for _ in range(segmentations)]
            assert subwords.decode([row.tolist() for row in rows]) == expected
    assert not list(Path("downloads").rglob("*.zip"))


@pytest.mark.usefixtures("parameters")
def test_synthetic_text_is_learnt_from_and_never_judged() -> None:
    for stage in (download, prepare, learn_subwords, encode):
        stage.main()
    judged = Path("data/encoded/val.en.ids.npy").read_bytes()
    parameters = yaml.safe_load(Path("params.yaml").read_text()) | {"synthetic": ["ours", "theirs"]}
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    with pytest.raises(SystemExit, match=r"data/synthetic/tatoeba/ours/train\.en is missing: .*pipelines\.synthesize"):
        encode.main()
    learnt = {side: [*read_lines(Path(f"data/prepared/train.{side}"))] for side in ("en", "fr")}
    for name in ("ours", "theirs"):
        folder = Path("data/synthetic/tatoeba", name)
        folder.mkdir(parents=True)
        for side in ("en", "fr"):
            learnt[side].append(f"{name} {side}")
            (folder / f"train.{side}").write_text(f"{name} {side}\n")
    encode.main()
    subwords = Subwords(Path("artifacts/subwords/subwords.model"))
    for side in ("en", "fr"):
        rows = Encoded(Path(f"data/encoded/train.{side}"))
        assert subwords.decode([row.tolist() for row in rows[::8]]) == learnt[side]
    assert Path("data/encoded/val.en.ids.npy").read_bytes() == judged
    told = json.loads(Path("data/encoded/synthetic.json").read_text())
    assert {name: text["pairs"] for name, text in told.items()} == {"ours": 1, "theirs": 1}
    assert told["ours"]["digest"] != told["theirs"]["digest"]


@pytest.mark.usefixtures("parameters")
def test_synthetic_text_that_cannot_be_learnt_from_is_told() -> None:
    for stage in (download, prepare, learn_subwords):
        stage.main()
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(parameters | {"synthetic": ["theirs"]}))
    theirs = Path("data/synthetic/tatoeba/theirs")
    theirs.mkdir(parents=True)
    (theirs / "train.en").write_text("one\n")
    (theirs / "train.fr").write_text("un\ndeux\n")
    with pytest.raises(SystemExit, match=r"theirs/train\.en has 1 lines and data/synthetic\S*/train\.fr 2"):
        encode.main()
    (theirs / "train.fr").write_text("un\n")
    for made, said in (
        ('{"split": "0123456789abcdef"}', "theirs was made of another training split than the one in data/prepared"),
        ("[1]", r"theirs/made\.json is not readable"),
    ):
        (theirs / "made.json").write_text(made)
        with pytest.raises(SystemExit, match=said):
            encode.main()
    (theirs / "made.json").unlink()
    encode.main()
    assert Path("data/encoded/synthetic.json").exists()
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    encode.main()
    assert not Path("data/encoded/synthetic.json").exists()


@pytest.mark.parametrize(
    ("stage", "changes", "complaint"),
    [
        (
            prepare,
            {"cleaning": {"max_word": 3}},
            "corpus.cleaning has no option max_word; it has max_characters",
        ),
        (prepare, {"split": {"size": 3}}, "corpus.split has no option size; it has unit, val, test, largest"),
        (prepare, {"texts": [{"path": "x"}]}, "corpus.texts.0 has no option path; it has file"),
        (prepare, {}, "is missing: `dvc repro download`"),
        (download, {"download": {"kind": "ftp"}}, "corpus.download: unknown kind 'ftp'; there are files, grammar"),
        (
            download,
            {"download": {"kind": "files", "files": [{"uri": "x"}]}},
            "corpus.download.files.0 has no option uri; it has url, sha256",
        ),
        (learn_subwords, {}, "train.en is missing"),
        (encode, {}, "no subword model at artifacts/subwords/subwords.model"),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    parameters: Callable[[dict[str, Any]], None], stage: Any, changes: dict[str, Any], complaint: str
) -> None:
    parameters(changes)
    with pytest.raises(SystemExit, match="error: ") as caught:
        stage.main()
    assert complaint in str(caught.value)


@pytest.mark.usefixtures("parameters")
def test_a_download_that_fails_leaves_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    download.main()
    before = Path("data/raw/SHA256SUMS").read_text()
    next(Path("../mirror").rglob("fra-eng.zip")).write_bytes(b"rubbish")
    monkeypatch.setattr("entente.text.download._BACKOFF", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    [file] = parameters["corpus"]["download"]["files"]
    file["url"] = "http://127.0.0.1:9/" + file["url"].removeprefix("https://")
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    with pytest.raises(SystemExit, match=r"cannot download fra-eng\.zip"):
        download.main()
    assert Path("data/raw/SHA256SUMS").read_text() == before
    assert sorted(path.name for path in Path("data").iterdir()) == ["raw"]
