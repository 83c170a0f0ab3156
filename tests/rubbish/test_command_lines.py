"""Command lines of `entente`: in process, and as a person runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from entente.cli import main
from entente.model import weights
from tests.model.networks import recurrent_options
from tests.rubbish.table import refused, table

ENTENTE = [sys.executable, "-m", "entente.cli"]
HELLO = "I love you."


@pytest.fixture
def there(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a model, an RNN, a file and a folder."""
    monkeypatch.chdir(tmp_path)
    Path("model").symlink_to(model_folder)
    Path("rnn").mkdir()
    config = weights.read_config(model_folder) | {"network": recurrent_options(max_length=200)}
    weights.save(weights.build(config["network"], config["vocabulary"]), config, Path("rnn"))
    Path("rnn/subwords.model").symlink_to(model_folder / "subwords.model")
    Path("file").write_text("of a person\n")
    Path("folder").mkdir()
    Path("folder/kept").write_text("of a person\n")
    Path("loop").symlink_to("loop")
    return tmp_path


def left(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@table(
    (
        "a model that is not there",
        "translate --model nowhere",
        "no model in nowhere: .*`dvc repro`, or name another with",
    ),
    ("a file for a model", "translate --model file", "no model in file: config.json is missing"),
    ("an empty folder for a model", "translate --model folder", "no model in folder: config.json is missing"),
    ("a model in a circle", "translate --model loop", "loop"),
    (
        "a name too long for a model",
        f"translate --model {'x' * 300}",
        "x/config.json: File name too long. Name another file",
    ),
    ("a beam of nothing", "translate --model model --beam 0", "beam is 0; choose from 1 to 1024"),
    ("a beam below 0", "translate --model model --beam=-3", "beam is -3; choose from 1 to 1024"),
    ("a beam of everything", "translate --model model --beam 1000000000", "beam is 1000000000; choose from 1 to 1024"),
    (
        "a penalty that is no number",
        "translate --model model --length-penalty nan",
        "length_penalty is nan; choose from",
    ),
    (
        "a penalty without end",
        "translate --model model --length-penalty=-inf",
        "length_penalty is -inf; choose from -10",
    ),
    ("none of the best", "translate --model model --n-best 0", "the 0 best translations were asked for: choose from 1"),
    ("more than the beam", "translate --model model --n-best 6", "the 6 best .*choose from 1 to the beam, 5, or widen"),
    ("an unknown device", "translate --model model --device npu", "device `npu` is unknown: choose auto, cpu or cuda"),
    (
        "a device without a memory",
        "translate --model model --device meta",
        "device `meta` is unknown: choose auto, cpu",
    ),
    ("a device of nothing", "translate --model model --device=", "device `` is unknown: choose auto, cpu or cuda"),
    (
        "a GPU below 0",
        "translate --model model --device cuda:-1",
        "device `cuda:-1` is unknown: choose auto, cpu or cuda",
    ),
    (
        "a GPU that is not there",
        "translate --model model --device cuda:77",
        "PyTorch sees .* CUDA devices here: choose",
    ),
    (
        "a layer that is not there",
        "attend --model model --layer 9",
        "there is no layer 9: this attention has layers 1 to 2",
    ),
    ("a layer below 1", "attend --model model --layer 0", "there is no layer 0: this attention has layers 1 to 2"),
    ("a head below 0", "attend --model model --head=-1", "there is no head -1: this attention has heads 1 to 2"),
    (
        "attention that an RNN has not",
        "attend --model rnn --kind encoder",
        "rnn has no attention of kind encoder; it has c",
    ),
    (
        "a folder for a page",
        "attend --model model --page folder",
        "folder: Is a directory. Name another file or folder",
    ),
    (
        "a page below a file",
        "attend --model model --page file/x/page.html",
        "file.*: Not a directory. Name another file",
    ),
    ("an edge without an end", "cut --model model --edge love", "--edge 'love': write who looks, >, at whom, such as"),
    ("an edge to a word not there", "cut --model model --edge love>cat", "no word `cat`"),
    (
        "an edge of an RNN",
        "cut --model rnn --edge love>you",
        "no encoder self attention to cut; it has cross_attention",
    ),
    (
        "an export over a person's files",
        "export --model model --to ctranslate2 folder",
        "folder is not empty: choose anoth",
    ),
    ("an export over a file", "export --model model --to ctranslate2 file", "file is no folder: choose another OUTDIR"),
    (
        "an export below a file",
        "export --model model --to ctranslate2 file/x",
        "file: File exists. Name another file or folder",
    ),
    (
        "an export over its model",
        "export --model model --to ctranslate2 model --force",
        "it is or holds the model to export",
    ),
    (
        "an export over where one stands",
        "export --model model --to ctranslate2 . --force",
        "the folder you are in: choose",
    ),
    (
        "an export of an RNN",
        "export --model rnn --to ctranslate2 out",
        "CTranslate2 cannot hold this model: model.kind is",
    ),
    (
        "an export of nothing",
        "export --model nowhere --to ctranslate2 out",
        "no model in nowhere: config.json is missing",
    ),
    (
        "a port that is none",
        "serve --model model --port 70000",
        "cannot serve at 127.0.0.1, port 70000: choose another --port, from 0 to 65535",
    ),
    (
        "a port below 0",
        "serve --model model --port=-1",
        "cannot serve at 127.0.0.1, port -1: choose another --port",
    ),
    (
        "a host that is not there",
        "serve --model model --host nowhere.invalid",
        "cannot serve at nowhere.invalid, port 8080",
    ),
    (
        "an address of another machine",
        "serve --model model --host 192.0.2.1",
        "cannot serve at 192.0.2.1, port 8080 .*cho",
    ),
    (
        "a second model that is not there",
        "translate --model model --model nowhere",
        "no model in nowhere: config.json is missing",
    ),
)
def test_a_command(there: Path, monkeypatch: pytest.MonkeyPatch, put_in: str, said: str) -> None:
    command, *words = put_in.split()
    sentences = [HELLO] if command in ("translate", "attend", "cut") else []
    monkeypatch.setattr(sys, "argv", ["entente", command, *words, *sentences])
    before = left(there)
    with refused(said):
        main()
    assert left(there) == before


@table(
    ("no beam", "translate --beam", "--beam: expected one argument"),
    ("a beam in words", "translate --beam wide x", "--beam: invalid int value: 'wide'"),
    ("half a beam", "translate --beam 2.5 x", r"--beam: invalid int value: '2\.5'"),
    ("a penalty in words", "translate --length-penalty much x", "--length-penalty: invalid float value: 'much'"),
    ("an option that none has", "translate --bean 3 x", "unrecognized arguments: --bean"),
    ("an unknown command", "transalte x", "invalid choice: 'transalte' .*translate"),
    ("attention to nothing", "attend", "the following arguments are required: SENTENCE"),
    ("attention of another kind", "attend --kind decoded x", "--kind: invalid choice: 'decoded' .*encoder"),
    ("a cut of nothing", "cut x", "the following arguments are required: --edge"),
    ("an export without a place", "export --to ctranslate2", "the following arguments are required: OUTDIR"),
    ("an export to another program", "export --to onnx out", "--to: invalid choice: 'onnx' .*ctranslate2"),
    (
        "an export in 3 bits",
        "export --to ctranslate2 --quantization int3 out",
        "--quantization: invalid choice: 'int3'",
    ),
    ("a port in words", "serve --port http", "--port: invalid int value: 'http'"),
)
def test_a_command_that_is_misspelt(
    put_in: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["entente", *put_in.split()])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert re.search(rf"error: .*{said}", capsys.readouterr().err)


@table(
    (
        "half of a surrogate pair",
        os.fsdecode(b"I \xed\xa0\x80 you."),
        r"'I .*you\.' is no text: it holds half of a charac",
    ),
    (
        "bytes that are no UTF-8",
        os.fsdecode(b"caf\xe9"),
        r"'caf\\udce9' is no text: .*bytes that are not UTF-8; mend it",
    ),
    (
        "a word of a million letters",
        "cat" * 300_000,
        "has .* pieces and no punctuation to split it at; this model reads at",
    ),
)
def test_a_sentence(there: Path, monkeypatch: pytest.MonkeyPatch, put_in: str, said: str) -> None:
    monkeypatch.setattr(sys, "argv", ["entente", "translate", "--model", "model", "--device", "cpu", put_in])
    with refused(said):
        main()


@table(
    (
        "a model that is not there, as a process",
        (["translate", "--model", "nowhere", "x"], b""),
        "error: no model in now",
    ),
    (
        "a sentence of stray bytes, as a process",
        (["translate", "--model", "model", b"caf\xe9"], b""),
        "error: .* no text",
    ),
    (
        "Latin-1 at the input",
        (["translate", "--model", "model"], b"caf\xe9\n"),
        r"error: standard input, line 1: byte 4",
    ),
    (
        "a picture at the input",
        (["translate", "--model", "model"], b"\x89PNG\r\n"),
        "error: standard input, line 1: byte 1",
    ),
    (
        "an export over a file, as a process",
        (["export", "--to", "ctranslate2", "file"], b""),
        "error: .*file is no folder",
    ),
)
def test_a_process(there: Path, put_in: tuple[list[str | bytes], bytes], said: str) -> None:
    words, typed = put_in
    before = left(there)
    run = subprocess.run([*ENTENTE, *words], input=typed, capture_output=True, check=False)
    told = run.stderr.decode()
    assert run.returncode == 1
    assert re.fullmatch(f"{said}.*\n", told), told
    assert left(there) == before
