"""A corpus of many archives, as its publisher lays them out, at a few lines each."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from omegaconf import OmegaConf

from pipelines import download, prepare
from pipelines.compose import compose


def lines(member: str) -> str:
    """Three lines that say where they come from; of a test set in the tags that WMT has."""
    name = member.replace("-src.en", "").replace("-ref.fr", "").removesuffix(".gz").removesuffix(".sgm")
    name = name.removesuffix(".en").removesuffix(".fr").replace("/", " ")
    language = "un texte" if ".fr" in member.removesuffix(".gz").removesuffix(".sgm")[-3:] else "a text"
    said = [f"{language} of {name} & {number}" for number in range(3)]
    if member.endswith(".sgm"):
        tagged = [f'<seg id="{number}">{one.replace("&", "&amp;")}</seg>' for number, one in enumerate(said)]
        said = ['<srcset setid="newstest2014" srclang="any">', '<doc docid="1">', "<p>", *tagged, "</p>", "</doc>"]
    return "\n".join(said) + "\n"


def test_every_text_is_found_and_goes_where_it_belongs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = compose(["corpus=wmt14"], root / "conf")
    (root / "params.yaml").write_text(OmegaConf.to_yaml(composed))
    (root / "dvc.yaml").write_text("stages: {}\n")
    for file in composed.corpus.download.files:
        place = urlsplit(file.url)
        archive = root / "mirror" / f"{place.netloc}{place.path}"
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w:gz" if archive.suffix == ".tgz" else "w") as tar:
            for text in composed.corpus.texts:
                if text.file == archive.name:
                    content = lines(text.member).encode()
                    content = gzip.compress(content) if text.member.endswith(".gz") else content
                    member = tarfile.TarInfo(text.member)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("ENTENTE_MIRROR", "mirror")
    download.main()
    (root / "artifacts" / "metrics").mkdir(parents=True)
    prepare.main()
    tally = json.loads((root / "artifacts" / "metrics" / "prepare.json").read_text())
    assert (tally["train"]["pairs"], tally["val"]["sentences"], tally["newstest2014"]["sentences"]) == (15, 3, 3)
    test = (root / "data" / "prepared" / "newstest2014.fr").read_text().splitlines()
    assert test[2] == "un texte of test-full newstest2014-fren & 2"
