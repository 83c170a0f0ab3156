"""What is read from outside, each with good inputs to begin from: whatever else comes is an EntenteError.

`python -m tests.fuzz READER` looks for what is not; test_readers.py tries a little of it each time.
"""

import asyncio
import gzip
import io
import json
import lzma
import resource
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

from entente.decoding.settings import Decoding
from entente.decoding.translator import load_subwords
from entente.evaluation.probes import read_probes
from entente.model import weights
from entente.pages.attention import Shown
from entente.service.app import app
from entente.text import subwords
from entente.text.archives import check, open_text
from entente.text.cleaning import Cleaning
from entente.text.corpus import read_lines, read_pairs, read_references
from entente.text.encoded import Encoded
from entente.text.encoding import encode
from entente.text.grammar.rules import read_grammar
from entente.text.preparation import Text, prepare
from entente.text.splits import Split
from entente.tracking.archive import RUN, read_archive
from entente.tracking.delivery import Address
from entente.tracking.spool import deliver_left_over
from entente.translator import Translator
from pipelines.parameters import read as read_parameters
from pipelines.tracked_run import data_hash
from tests.conftest import SENTENCES
from tests.model.networks import options

ROOT = Path(__file__).resolve().parents[2]
GRAMMAR = ROOT / "data/grammar"
MEMORY = 2**31  # bytes that an input may cost
ANSWERED = {200, 400, 404, 413, 422}

Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Reader:
    """Good inputs, and what reads any input."""

    seeds: Sequence[bytes]
    read: Read


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Let no input cost more than MEMORY: a size that somebody made up is refused, and the machine lives on."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def from_file(path: Path, read: Callable[[Path], object], *seeds: bytes) -> Reader:
    """A reader of one file, of which what stands there is a good one."""

    def written(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return Reader(seeds or [path.read_bytes()], written)


def learnt(folder: Path) -> Path:
    """The subwords of a few sentences."""
    (folder / "text").write_text("".join(f"{sentence}\n" for sentence in SENTENCES * 5), encoding="utf-8")
    subwords.learn([folder / "text"], folder, kind="unigram", vocabulary=305, threads=1, sample=1000)
    return folder / "subwords.model"


def model(folder: Path) -> Path:
    """A folder as a training leaves it."""
    known = subwords.Subwords(learnt(folder))
    network = options(width=8, hidden=8, heads=2, encoder_layers=1, decoder_layers=1, max_length=32)
    config = {"network": network, "vocabulary": len(known), "subwords": known.digest}
    torch.manual_seed(3)
    weights.save(weights.build(network, len(known)), config, folder)
    return folder


def zip_archive(folder: Path) -> Reader:
    """The .zip that a corpus is published as."""
    packed = [io.BytesIO() for _ in range(4)]
    kinds = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA
    for file, kind in zip(packed, kinds, strict=True):
        with zipfile.ZipFile(file, "w", kind) as archive:
            archive.writestr("about.txt", "about")
            archive.writestr("text.txt", "\n".join(SENTENCES))
    return from_file(folder / "text.zip", _read_archived("text.txt"), *(file.getvalue() for file in packed))


def gz_archive(folder: Path) -> Reader:
    """The .gz that a corpus is published as."""
    return from_file(folder / "text.gz", _read_archived(None), gzip.compress("\n".join(SENTENCES).encode(), mtime=0))


def _read_archived(member: str | None) -> Callable[[Path], object]:
    def read(path: Path) -> bytes:
        with open_text(path, member) as file:
            content = file.read()
        check(path)
        return content

    return read


def lines(folder: Path) -> Reader:
    """A text."""
    return from_file(folder / "text", lambda path: list(read_lines(path)), "\n".join(SENTENCES).encode(), b"a\r\n\n")


def pairs(folder: Path) -> Reader:
    """A side of a corpus, the other of which is well."""
    other = folder / "other"
    other.write_text("Va !\nJe t'aime.\n", encoding="utf-8")
    return from_file(folder / "text", lambda path: list(read_pairs(path, other)), b"Go!\nI love you.\n")


def references(folder: Path) -> Reader:
    """References of a test set, a JSON list a line."""
    good = b'["Va !"]\n["Je t\'aime.", "Je vous aime."]\n'
    return from_file(folder / "references.jsonl", read_references, good)


def _probes() -> bytes:
    one = {"phenomenon": "negation", "source": "I run.", "target": "Je cours.", "foil": "Je ne cours pas."}
    return "".join(json.dumps(one | {"longer": longer}) + "\n" for longer in (False, True)).encode()


def probes(folder: Path) -> Reader:
    """Minimal pairs, a JSON object a line."""
    return from_file(folder / "probes.jsonl", read_probes, _probes())


def _prepared(folder: Path, changed: str) -> Reader:
    raw = folder / "raw"
    raw.mkdir()
    pairs = "".join(f"Sentence {number} is {number}.\tLa phrase {number} est {number}.\n" for number in range(20))
    (raw / "corpus.tsv").write_text(pairs, encoding="utf-8")
    (raw / "probes.jsonl").write_bytes(_probes())
    cleaning = Cleaning(max_characters=100, max_words=20, max_ratio=3.0, ratio_slack=10)

    def read(path: Path) -> object:
        return prepare(
            raw,
            folder / "out",
            texts=[Text("corpus.tsv", None, ["en", "fr"], None)],
            tests=["test"],
            probes="probes.jsonl",
            cleaning=cleaning,
            split=Split("component", val=2, test=3, largest=0.5),
        )

    return from_file(raw / changed, read)


def corpus(folder: Path) -> Reader:
    """A corpus of two columns, cleaned and split."""
    return _prepared(folder, "corpus.tsv")


def corpus_probes(folder: Path) -> Reader:
    """The probes that come with a corpus."""
    return _prepared(folder, "probes.jsonl")


def grammar(folder: Path) -> Reader:
    """The YAML files of a grammar, one after another: of each list in ours the first, which is read in no time."""
    files = {path.name: _first(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in GRAMMAR.glob("*.yaml")}
    files["rules.yaml"] |= {"training": dict(list(files["rules.yaml"]["training"].items())[:1]), "probes": {}}

    def read(content: bytes) -> object:
        for name, text in zip(files, content.split(b"\0") + [b""] * len(files), strict=False):
            (folder / name).write_bytes(text)
        return read_grammar(folder)

    return Reader([b"\0".join(yaml.safe_dump(file, allow_unicode=True).encode() for file in files.values())], read)


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _first(one) for key, one in value.items()}
    return [_first(one) for one in value[:1]] if isinstance(value, list) else value


def subword_model(folder: Path) -> Reader:
    """What SentencePiece learnt, which its own parser reads."""

    def read(path: Path) -> object:
        found = subwords.Subwords(path)
        return found.decode(found.encode(SENTENCES)), found.kind, found.scores

    return from_file(learnt(folder), read)


def config(folder: Path) -> Reader:
    """What rebuilds a network."""
    return from_file(model(folder) / weights.CONFIG, lambda path: (weights.load(folder), load_subwords(folder)))


def safetensors(folder: Path) -> Reader:
    """What a network has learnt."""
    return from_file(model(folder) / weights.WEIGHTS, lambda path: weights.load(folder))


def snapshot(folder: Path) -> Reader:
    """What a network had learnt by some moment."""
    weights.save_snapshot(weights.load(model(folder)), folder / "1.safetensors")
    return from_file(folder / "1.safetensors", lambda path: weights.load_snapshot(folder, path))


def _encoded(folder: Path, changed: str) -> Reader:
    (folder / "train.en").write_text("".join(f"{sentence}\n" for sentence in SENTENCES), encoding="utf-8")
    encode(learnt(folder), folder / "train.en", folder / "train", processes=1)
    return from_file(folder / f"train.{changed}.npy", lambda path: [row.tolist() for row in Encoded(folder / "train")])


def encoded_ids(folder: Path) -> Reader:
    """The ids of a corpus."""
    return _encoded(folder, "ids")


def encoded_offsets(folder: Path) -> Reader:
    """Where the sentences of a corpus begin."""
    return _encoded(folder, "offsets")


def spool(folder: Path) -> Reader:
    """What waits for a tracking store; whatever it is, it stands in nobody's way for ever."""
    entries = [
        {"what": "metrics", "points": [["train/loss", 1.5, 1, 7]]},
        {"what": "status", "status": "KILLED", "end": 5},
    ]
    address = asdict(Address("entente", "tiny", {"a": "b"}))
    good = "".join(json.dumps(line) + "\n" for line in (address, *entries)).encode()

    def read(path: Path) -> None:
        deliver_left_over(path, lambda address: lambda entry: None)
        assert not path.exists()

    return from_file(folder / "run.jsonl", read, good)


def _archived() -> bytes:
    run = {"id": "1", "name": "one", "began": "2026-01-01T00:00:00+00:00", "parameters": {}, "tags": {}}
    content = json.dumps(run | {"figures": {"bleu": 60.0}, "curves": {"loss": [[1, 2.0]]}}).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in ((RUN, content), ("evaluation/test.fr", b"Va !\n")):
            member = tarfile.TarInfo(f"one/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return packed.getvalue()


def runs(folder: Path) -> Reader:
    """An archive of runs."""
    return from_file(folder / "runs.tar.xz", read_archive, lzma.compress(_archived()))


def runs_within(folder: Path) -> Reader:
    """What an archive of runs holds, past the checksums of its compression."""
    reader = runs(folder)
    return Reader([_archived()], lambda content: reader.read(lzma.compress(content, preset=0)))


def _posted(folder: Path, path: str, *questions: dict[str, Any]) -> Reader:
    decoding = Decoding(beam=2, max_length_factor=1, max_length_offset=3)
    translator = Translator.load(model(folder), "cpu", decoding)
    served = app([Shown("one", translator, weights.read_config(folder)["network"])], [], ["*"])
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }

    async def ask(body: bytes) -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await served(dict(scope), receive, send)
        assert sent[0]["status"] in ANSWERED, sent

    return Reader([json.dumps(question).encode() for question in questions], lambda body: asyncio.run(ask(body)))


def translate_request(folder: Path) -> Reader:
    """A question to the service."""
    question = {"sentences": ["I love you."], "beam": 2, "length_penalty": 0.5, "n_best": 2, "attention": True}
    return _posted(folder, "/translate", question, {"sentences": ["The cat.", ""]})


def attend_request(folder: Path) -> Reader:
    """What the page asks of the service."""
    return _posted(folder, "/attend", {"sentence": "I love you.", "models": [0]})


def _at_the_root(folder: Path, file: str, good: bytes, read: Callable[[], object]) -> Reader:
    def here(path: Path) -> object:
        with chdir(folder):
            return read()

    return from_file(folder / file, here, good)


def parameters(folder: Path) -> Reader:
    """The composed configuration."""
    return _at_the_root(
        folder, "params.yaml", (ROOT / "params.yaml").read_bytes(), lambda: read_parameters("model.width")
    )


def lock(folder: Path) -> Reader:
    """What DVC saw."""
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    good = yaml.safe_dump({"schema": "2.0", "stages": {"prepare": stages["prepare"]}}).encode()
    return _at_the_root(folder, "dvc.lock", good, lambda: data_hash(Path("data/prepared")))


READERS: Mapping[str, Callable[[Path], Reader]] = {
    reader.__name__: reader
    for reader in (
        zip_archive, gz_archive, lines, pairs, references, probes, corpus, corpus_probes, grammar, subword_model,
        config, safetensors, snapshot, encoded_ids, encoded_offsets, spool, runs, runs_within, translate_request,
        attend_request, parameters, lock,
    )
}  # fmt: skip
