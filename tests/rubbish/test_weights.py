"""Models on disk: weights that are not those of the configuration, and configurations that are none."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from entente.errors import EntenteError
from entente.translator import Translator
from pipelines.tracked_run import evaluated_run
from tests.rubbish.table import table

Tensors = dict[str, torch.Tensor]
TABLE = "embedding.weight"


@pytest.fixture
def model(tmp_path: Path, model_folder: Path) -> Path:
    shutil.copytree(model_folder, tmp_path / "model")
    return tmp_path / "model"


def refuse(model: Path, said: str) -> None:
    before = sorted(path.name for path in model.iterdir())
    with pytest.raises(EntenteError, match=said) as error:
        Translator.load(model, "cpu")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in model.iterdir()) == before


def one(value: float) -> Callable[[Tensors], None]:
    """Return what puts a value among the others."""

    def put(tensors: Tensors) -> None:
        tensors[TABLE][7, 3] = value

    return put


@table(
    (
        "no number",
        one(float("nan")),
        "has NaN or infinity in embedding.weight: its training diverged, or it is damaged; train",
    ),
    ("a number without end", one(float("inf")), "has NaN or infinity in embedding.weight: its training diverged"),
    ("a weight that is missing", lambda tensors: tensors.pop(TABLE), r"it lacks embedding\.weight; train anew with"),
    (
        "no weight at all",
        lambda tensors: tensors.clear(),
        r"does not belong to config\.json: it lacks .* and \d+ more; train anew",
    ),
    (
        "a weight too many",
        lambda tensors: tensors.update(extra=torch.zeros(1)),
        r"it has, beyond the network, extra; train anew",
    ),
    (
        "a weight by another name",
        lambda tensors: tensors.update(table=tensors.pop(TABLE)),
        r"it lacks embedding\.weight; has, beyond the network, table; train anew",
    ),
    (
        "a table that is too narrow",
        lambda tensors: tensors.update({TABLE: tensors[TABLE][:, :5].contiguous()}),
        r"it has in other shapes embedding\.weight",
    ),
    (
        "a table turned round",
        lambda tensors: tensors.update({TABLE: tensors[TABLE].t().contiguous()}),
        r"it has in other shapes embedding\.weight",
    ),
    (
        "a table of no dimension",
        lambda tensors: tensors.update({TABLE: torch.tensor(1.0)}),
        "has in other shapes embeddin",
    ),
    (
        "whole numbers",
        lambda tensors: tensors.update({TABLE: tensors[TABLE].to(torch.int64)}),
        r"it has as other than fractions embedding\.weight",
    ),
    (
        "yes and no",
        lambda tensors: tensors.update({TABLE: tensors[TABLE] > 0}),
        r"it has as other than fractions embedding\.weight",
    ),
    (
        "complex numbers",
        lambda tensors: tensors.update({TABLE: tensors[TABLE].to(torch.complex64)}),
        r"it has as other than fractions embedding\.weight",
    ),
)
def test_weights(model: Path, put_in: Callable[[Tensors], None], said: str) -> None:
    tensors = load_file(model / "weights.safetensors")
    put_in(tensors)
    save_file(tensors, model / "weights.safetensors")
    refuse(model, said)


def header(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Change what the file says of its tensors."""
    (length,) = struct.unpack("<Q", content[:8])
    told = json.loads(content[8 : 8 + length])
    change(told)
    new = json.dumps(told).encode()
    return struct.pack("<Q", len(new)) + new + content[8 + length :]


@table(
    ("a header without end", lambda file: struct.pack("<Q", 2**60) + file[8:], r"weights\.safetensors is damaged"),
    ("a header of nothing", lambda file: struct.pack("<Q", 0) + file[8:], r"weights\.safetensors is damaged"),
    ("a header that is no JSON", lambda file: file[:8] + b"[" * 50 + file[58:], r"weights\.safetensors is damaged"),
    ("weights cut short", lambda file: file[:-100], r"weights\.safetensors is damaged"),
    ("weights with more behind", lambda file: file + b"rubbish", r"weights\.safetensors is damaged"),
    ("an empty file of weights", lambda file: b"", r"weights\.safetensors is damaged"),
    ("weights of a pickle", lambda file: b"\x80\x04}q\x00." * 20, r"weights\.safetensors is damaged"),
    (
        "a shape of more than there is",
        lambda file: header(file, lambda told: told[TABLE].update(shape=[2**40, 2**20])),
        r"weights\.safetensors is damaged",
    ),
    (
        "a weight outside the file",
        lambda file: header(file, lambda told: told[TABLE].update(data_offsets=[2**40, 2**41])),
        r"weights\.safetensors is damaged",
    ),
    (
        "an unknown kind of number",
        lambda file: header(file, lambda told: told[TABLE].update(dtype="F99")),
        r"weights\.safetensors is damaged",
    ),
)
def test_a_file_of_weights(model: Path, put_in: Callable[[bytes], bytes], said: str) -> None:
    file = model / "weights.safetensors"
    file.write_bytes(put_in(file.read_bytes()))
    refuse(model, said)


Config = dict[str, Any]


@table(
    ("no network", lambda config: config.pop("network"), r"config\.json lacks network; train anew with `dvc repro`"),
    ("no vocabulary", lambda config: config.pop("vocabulary"), r"config\.json lacks vocabulary; train anew"),
    ("no subwords", lambda config: config.pop("subwords"), r"subwords\.model does not belong to the weights beside it"),
    ("a network without heads", lambda config: config["network"].pop("heads"), "model lacks heads"),
    (
        "a network of a list",
        lambda config: config.update(network=[1]),
        r"model is \[1\]; it should be a group of options",
    ),
    (
        "an unknown network",
        lambda config: config["network"].update(kind="gpt"),
        "unknown kind 'gpt'; there are recurrent",
    ),
    ("code for a kind", lambda config: config["network"].update(kind="os.system"), "unknown kind 'os.system'"),
    ("an option that none has", lambda config: config["network"].update(colour=1), "transformer has no option colour"),
    (
        "a width in quotes",
        lambda config: config["network"].update(width="16"),
        r"model\.width is '16'; it should be a va",
    ),
    (
        "a vocabulary in words",
        lambda config: config.update(vocabulary="many"),
        r"model\.vocabulary is 'many'; it should b",
    ),
    (
        "a vocabulary of the world",
        lambda config: config.update(vocabulary=10**12),
        r"vocabulary is 1000000000000; it shoul",
    ),
    (
        "a vocabulary of another",
        lambda config: config.update(vocabulary=341),
        r"it has in other shapes embedding\.weight",
    ),
    (
        "a network that is deeper",
        lambda config: config["network"].update(encoder_layers=3),
        r"it lacks encoder\.1\..* more",
    ),
    ("a network that is larger", lambda config: config["network"].update(width=65536), "it has in other shapes"),
    (
        "layers without end",
        lambda config: config["network"].update(decoder_layers=10**9),
        "decoder_layers is 1000000000; it should be at most",
    ),
)
def test_a_model_s_configuration(model: Path, put_in: Callable[[Config], object], said: str) -> None:
    file = model / "config.json"
    config = json.loads(file.read_text())
    put_in(config)
    file.write_text(json.dumps(config))
    refuse(model, said)


@table(
    ("JSON cut short", b'{"network": {', r"config\.json is not readable as JSON \(.*\); train anew with `dvc repro`"),
    ("no JSON at all", b"network: {}", r"config\.json is not readable as JSON"),
    ("an empty file", b"", r"config\.json is not readable as JSON"),
    ("a list", b"[]", r"config\.json lacks network, vocabulary"),
    ("a number", b"3", r"config\.json lacks network, vocabulary"),
    ("JSON in another encoding", '{"network": "é"}'.encode("latin-1"), r"config\.json is not readable as JSON"),
    ("lists without a bottom", b"[" * 200_000, r"config\.json is not readable as JSON"),
)
def test_a_model_s_configuration_that_is_none(model: Path, put_in: bytes, said: str) -> None:
    (model / "config.json").write_bytes(put_in)
    refuse(model, said)


@table(
    ("no fingerprint", lambda config: config, r"config\.json lacks the fingerprint of its training: train anew with"),
    ("a fingerprint of a number", lambda config: config | {"fingerprint": 3}, r"config\.json lacks the fingerprint"),
)
def test_a_model_of_an_unknown_training(model: Path, put_in: Callable[[Config], Config], said: str) -> None:
    file = model / "config.json"
    file.write_text(json.dumps(put_in(json.loads(file.read_text()))))
    with pytest.raises(EntenteError, match=said):
        evaluated_run(model)
