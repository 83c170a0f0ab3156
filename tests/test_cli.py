import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from entente.cli import main
from entente.commands.translate import windows
from entente.errors import EntenteError
from entente.evaluation.attention_maps import attention_maps
from entente.model import weights
from entente.text import subwords
from entente.text.words import words as word_by_word
from tests.model.networks import options

NETWORK = options(hidden=32, heads=2, encoder_layers=1, decoder_layers=1, max_length=200)
ENTENTE = [sys.executable, "-m", "entente.cli"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model: a Transformer that has learnt nothing."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "text").write_text("I love you.\nThe cat sleeps.\nJe t'aime.\nLe chat dort.\n" * 5)
    subwords.learn([folder / "text"], folder, kind="bpe", vocabulary=290, threads=1, sample=1000)
    digest = subwords.Subwords(folder / "subwords.model").digest
    torch.manual_seed(4)
    config = {"network": NETWORK, "vocabulary": 290, "subwords": digest}
    weights.save(weights.build(NETWORK, 290), config, folder)
    return folder


def entente(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["entente", *map(str, words)])
    main()


def test_sentences_of_the_command_line_are_translated_in_order(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = ["The cat sleeps.", "", "I love you."]
    entente(monkeypatch, "translate", "--model", model, "--device", "cpu", *sentences)
    lines = capsys.readouterr().out.split("\n")
    for sentence, line in zip(sentences, lines, strict=False):
        entente(monkeypatch, "translate", "--model", model, "--device", "cpu", sentence)
        assert capsys.readouterr().out == f"{line}\n"
    assert len(lines) == 4
    assert lines[1] == "" != lines[0]


def test_n_best_prints_rank_score_and_text(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entente(monkeypatch, "translate", "--model", model, "--beam", "5", "--n-best", "3", "I love you.")
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [rank for rank, _, _ in rows] == ["1", "2", "3"]
    assert [float(score) for _, score, _ in rows] == sorted((float(score) for _, score, _ in rows), reverse=True)


def cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, *words: str) -> list[str]:
    entente(monkeypatch, "cut", "--model", model, "--device", "cpu", "The cat sleeps.", *words)
    return capsys.readouterr().out.splitlines()


def figures(line: str) -> list[float]:
    return [float(figure) for figure in re.findall(r"[-+]?\d+\.\d+", line)]


def test_cut_shows_attention_and_what_the_translation_loses(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entente(monkeypatch, "translate", "--model", model, "The cat sleeps.")
    translation = capsys.readouterr().out.strip()
    lines = cut(monkeypatch, capsys, model, "--edge", "sleeps>cat", "--foil", "Les chats dorment.")
    assert lines[0] == "The cat sleeps."
    assert lines[2].startswith('Where "sleeps" looks')
    assert lines[3].split()[:2] == ["layer", "1"]
    assert [line.split()[0] for line in lines[4:9]] == ["The", "cat", "sleeps", ".", "⟨end⟩"]
    assert [line.endswith("<- cut") for line in lines[4:9]] == [False, True, False, False, False]
    assert sum(figures(line)[0] for line in lines[4:9]) == pytest.approx(1, abs=0.03)
    assert lines[10] == "Without sleeps>cat in every layer and head"
    assert lines[11] == f"  before  {translation}"
    right, wrong, margin = (figures(line) for line in lines[15:])
    assert margin[:2] == pytest.approx([right[0] - wrong[0], right[1] - wrong[1]], abs=2e-3)
    assert margin[2] == pytest.approx(margin[1] - margin[0], abs=2e-3)
    assert right[0] != right[1]


def test_cut_without_a_foil_tells_of_the_translation_alone(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = cut(monkeypatch, capsys, model, "--edge", "sleeps>cat", "--edge", "sleeps > the", "--edge", "cat>the")
    assert sum(line.startswith("Where") for line in lines) == 2
    assert sum(line.endswith("<- cut") for line in lines) == 3
    assert len([line for line in lines if "log p" in line]) == 1


@pytest.mark.parametrize(
    ("edges", "complaint"),
    [
        (["sleeps"], "--edge 'sleeps': write who looks"),
        (["sleeps>"], "--edge 'sleeps>': write who looks"),
        (["dog>cat"], "no word `dog`.*`The`, `cat`, `sleeps`"),
        (["cat>cat#2"], "no word `cat#2`"),
        ([f"cat>{word}" for word in ("the", "cat", "sleeps", ".", "⟨end⟩")], "nothing to look at"),
    ],
)
def test_an_edge_that_cannot_be_cut_is_one_line(
    edges: list[str],
    complaint: str,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word for edge in edges for word in ("--edge", edge)]
    with pytest.raises(SystemExit, match=f"(?s)^error: .*{complaint}"):
        cut(monkeypatch, capsys, model, *words)
    assert capsys.readouterr().out == ""


def test_several_models_translate_together(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for models in ([model], [model, model]):
        entente(monkeypatch, "translate", *(word for one in models for word in ("--model", one)), "I love you.")
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "nowhere", "Hello."], "no model in nowhere.*dvc repro.*--model DIR"),
        (["--device", "cuda:99", "Hello."], "cuda:99.*choose auto or cpu"),
        (["--beam", "0", "Hello."], "beam is 0"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_status_1(
    words: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=f"(?s)^error: .*{complaint}"):
        entente(monkeypatch, "translate", *words)


def test_alone_it_prints_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    entente(monkeypatch)
    assert "translate" in capsys.readouterr().out


def test_it_knows_its_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    entente(monkeypatch, "--version")
    assert re.fullmatch(r"entente \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "example",
    ['translate "I love you."', 'cut "The cat, which is fluffy, sleeps." --edge', "export --to ctranslate2 exported"],
)
def test_its_help_has_examples(
    example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        entente(monkeypatch, example.split()[0], "--help")
    assert f"entente {example}" in capsys.readouterr().out


def loaded(statement: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after the statement."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_help_does_not_wait_for_what_it_does_not_use() -> None:
    assert not loaded("import entente.cli") & {"torch", "numpy", "sentencepiece", "importlib.metadata"}


@pytest.mark.parametrize("module", ["entente.decoding.translator", "entente.evaluation.dissection"])
def test_what_a_command_uses_does_not_wait_for_the_rest(module: str) -> None:
    unused = {"lightning", "mlflow", "hydra", "omegaconf", "sacrebleu", "dvc", "matplotlib", "torch._dynamo"}
    assert not loaded(f"import {module}") & unused


@pytest.fixture
def typed() -> Iterator[tuple[int, Iterator[list[str]]]]:
    """A pipe to type into, and the windows read from it: 3 lines at most, answered after 0.2 seconds."""
    reading, writing = os.pipe()
    with open(reading, "rb") as lines:
        yield writing, windows(lines, 3, 0.2)


def test_windows_are_full_while_lines_wait_and_shorter_at_a_pause(typed: tuple[int, Iterator[list[str]]]) -> None:
    pipe, read = typed
    os.write(pipe, b"1\n2\n3\n4\n")
    assert next(read) == ["1\n", "2\n", "3\n"]
    assert next(read) == ["4\n"]
    os.write(pipe, "été\n\nlast without an end".encode())
    os.close(pipe)
    assert list(read) == [["été\n", "\n", "last without an end"]]


def test_a_trickle_that_never_pauses_is_answered_too() -> None:
    answered = threading.Event()

    def lines() -> Iterator[bytes]:
        while not answered.is_set():
            yield b"drop\n"
            answered.wait(0.01)

    read = windows(lines(), 100_000, 0.1)
    assert set(next(read)) == {"drop\n"}
    answered.set()


def test_bytes_that_are_no_utf8_are_named_after_the_lines_before_them(
    typed: tuple[int, Iterator[list[str]]],
) -> None:
    pipe, read = typed
    os.write(pipe, b"1\n2\nhe\xff\n3\n")
    os.close(pipe)
    assert next(read) == ["1\n", "2\n"]
    with pytest.raises(EntenteError, match=r"standard input, line 3: byte 3 \(0xff\) is not UTF-8"):
        next(read)


def test_an_input_that_fails_is_not_an_end() -> None:
    def lines() -> Iterator[bytes]:
        yield b"1\n"
        raise OSError("the disk went away")

    read = windows(lines(), 3, 0.2)
    assert next(read) == ["1\n"]
    with pytest.raises(OSError, match="went away"):
        next(read)


def test_typing_gets_an_answer_at_once_and_control_c_ends_it(model: Path) -> None:
    with subprocess.Popen(
        [*ENTENTE, "translate", "--model", model, "--device", "cpu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        bufsize=1,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for sentence in ("I love you.\n", "\n", "The cat sleeps.\n"):
            process.stdin.write(sentence)
            assert process.stdout.readline().endswith("\n")  # before the input ends
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert "Traceback" not in process.stderr.read()


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(ENTENTE, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(("words", "head"), [([], None), (["--layer", "1", "--head", "2"], 1)])
def test_attention_is_drawn_word_by_word(
    words: list[str], head: int | None, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "The cat sleeps."
    entente(monkeypatch, "attend", "--model", model, "--device", "cpu", "--kind", "encoder", *words, sentence)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"{sentence}  →  ")
    assert lines[3].split()[:5] == ["The", "cat", "sleeps", ".", "⟨end⟩"]
    assert lines[3].endswith("layer 1, mean of heads" if head is None else "layer 1, head 2")
    pieces = subwords.Subwords(model / "subwords.model")
    ids = pieces.encode([sentence])[0]
    found = attention_maps(weights.load(model), pieces, ids, [])[0].weights[0]  # (H, S, S)
    shown = torch.from_numpy(found.mean(0) if head is None else found[head])
    read = word_by_word(pieces.pieces([*ids, subwords.EOS]))
    for line, row in zip(lines[4:9], read, strict=True):
        drawn = line.removeprefix(f"{row.text:>6}  ")
        assert drawn != line
        for column in read:
            width = max(3, len(column.text))
            shade, drawn = drawn[:width], drawn[width + 1 :]
            weight = float(shown[list(row.positions)][:, list(column.positions)].sum(-1).mean())
            assert shade.ljust(width) == " ░▒▓█"[round(4 * weight)] * width


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layer", "2"], "there is no layer 2: this attention has layers 1 to 1"),
        (["--head", "0"], "there is no head 0: this attention has heads 1 to 2"),
        (["--open"], "no browser could be opened: open .*attention.html yourself"),
    ],
)
def test_attention_that_cannot_be_shown_is_named(
    words: list[str], message: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    with pytest.raises(SystemExit, match=message):
        entente(monkeypatch, "attend", "--model", model, "--device", "cpu", *words, "I love you.")


def test_a_page_has_models_side_by_side(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    page = tmp_path / "page.html"
    models: list[str | Path] = ["--model", model, "--model", other]
    entente(monkeypatch, "attend", *models, "--device", "cpu", "--page", page, "I love you.")
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert text.index(f'"name":"{model}"') < text.index(f'"name":"{other}"')
