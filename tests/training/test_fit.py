import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from entente.errors import EntenteError
from entente.model.seq2seq import Seq2Seq
from entente.text.subwords import EOS, PAD
from entente.training.curves import Curves
from entente.training.fit import MOMENTS, Averaging, Course, Machine, fit, forget
from entente.training.loss import LabelSmoothedCrossEntropy, RDrop
from entente.training.optimizer import Adam, Muon
from entente.training.parallel_data import ParallelData
from entente.training.schedule import LinearDecay
from entente.training.teacher_forcing import TeacherForcing, Validation
from tests.model.networks import VOCABULARY, transformer

CPU = Machine("cpu", 1, {"cpu": "32-true", "cuda": "bf16-mixed"}, None)


def write_side(stem: Path, sentences: list[list[int]]) -> None:
    np.save(f"{stem}.ids.npy", np.concatenate(sentences).astype(np.uint16))
    np.save(f"{stem}.offsets.npy", np.cumsum([0, *map(len, sentences)]))


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language whose translation is the reversed sentence."""
    folder = tmp_path_factory.mktemp("encoded")
    random = np.random.default_rng(0)
    for split, pairs in (("train", 90), ("val", 12)):
        words = [random.integers(EOS + 1, VOCABULARY, random.integers(2, 9)).tolist() for _ in range(pairs)]
        write_side(folder / f"{split}.en", [[*sentence, EOS] for sentence in words])
        write_side(folder / f"{split}.fr", [[*reversed(sentence), EOS] for sentence in words])
    return folder


def train(
    encoded: Path,
    checkpoints: Path,
    *,
    updates: int = 12,
    accumulate: int = 1,
    patience: int = 99,
    score: Callable[[Seq2Seq], float] = lambda network: 1.0,
    checkpoint_every: int = 3,
    interrupt_at: int | None = None,
    log_every: int = 1,
    regularised: bool = False,
) -> tuple[int, dict[str, torch.Tensor], Curves]:
    """Train a small Transformer with dropout; return the best update, its weights, and the curves.

    `regularised` by R-Drop, and by sentences that are there in three ways, it is trained by Muon.
    """
    adam = partial(Adam, beta1=0.9, beta2=0.98, epsilon=1e-9)
    muon = partial(Muon, beta1=0.9, beta2=0.98, epsilon=1e-9, momentum=0.9, times=2.0)
    loss = partial(RDrop, weight=5.0) if regularised else LabelSmoothedCrossEntropy
    pl.seed_everything(5, verbose=False)
    network = transformer(dropout=0.2).train()
    torch.manual_seed(9)
    seen: list[float] = []

    def pull_the_plug(update: int) -> None:
        if update == interrupt_at:
            raise RuntimeError("the plug was pulled")

    def show(hypotheses: object, update: int) -> None:
        pull_the_plug(update)

    def rate(update: int) -> float:
        pull_the_plug(update - 1)  # asked for the update after this one, in the middle of a step
        return LinearDecay(peak=1e-2, warmup=2, updates=12)(update)

    validation = Validation(lambda net: [seen.append(score(net)) or ""], lambda hypotheses: seen[-1], show)  # type: ignore[func-returns-value]
    module = TeacherForcing(
        network,
        loss(smoothing=0.1, ignored=PAD),
        muon if regularised else adam,
        rate,
        validation,
        seed=5,
    )
    checkpoints.mkdir(parents=True, exist_ok=True)
    curves = Curves(checkpoints / "curves.jsonl")
    best = fit(
        module,
        ParallelData(
            encoded,
            tokens=100,
            accumulate=accumulate,
            workers=0,
            seed=1,
            languages=("en", "fr"),
            segmentations=3 if regularised else 1,
        ),
        course=Course(updates, accumulate, 1.0, 4, checkpoint_every, log_every, patience, Averaging(0.5, 2), 4),
        machine=CPU,
        checkpoints=checkpoints,
        loggers=[curves],
    )
    return best, {name: tensor.clone() for name, tensor in network.state_dict().items()}, curves


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def count_up() -> Callable[[Seq2Seq], float]:
    values = iter(range(1, 100))
    return lambda network: float(next(values))


def test_same_seed_same_weights_bit_for_bit(encoded: Path, tmp_path: Path) -> None:
    _, first, _ = train(encoded, tmp_path / "a", score=count_up())
    _, second, _ = train(encoded, tmp_path / "b", score=count_up())
    assert same(first, second)
    assert not same(first, transformer(dropout=0.2).state_dict())


def by_weights(network: Seq2Seq) -> float:
    """A score that tells weights apart, as BLEU does, and that falls as often as it rises."""
    return float(sum(weight.sum() for weight in network.parameters()).sin()) + 2  # type: ignore[union-attr]


@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize(
    ("moment", "checkpoint_every", "accumulate"),
    [(2, 1, 1), (3, 3, 1), (4, 3, 1), (4, 4, 1), (5, 2, 1), (7, 7, 1), (8, 4, 3), (8, 3, 1), (12, 4, 1), (11, 5, 3)],
)
def test_killed_and_resumed_is_never_killed(
    encoded: Path, tmp_path: Path, moment: int, checkpoint_every: int, accumulate: int, regularised: bool
) -> None:
    def run(folder: str, interrupt_at: int | None) -> tuple[int, dict[str, torch.Tensor], Curves]:
        return train(
            encoded,
            tmp_path / folder,
            accumulate=accumulate,
            score=by_weights,
            checkpoint_every=checkpoint_every,
            interrupt_at=interrupt_at,
            log_every=2 if regularised else 1,
            regularised=regularised,
        )

    undisturbed, weights, whole = run("a", None)
    with pytest.raises(RuntimeError, match="plug"):
        run("b", moment)
    best, resumed, curves = run("b", None)
    assert best == undisturbed
    assert same(weights, resumed)
    for kind, columns in (("train", ["loss", "gradient_norm"]), ("val", ["loss", "bleu"])):
        assert curves.rows(kind, columns) == whole.rows(kind, columns)
    kept, again = (sorted((tmp_path / folder / MOMENTS).iterdir()) for folder in ("a", "b"))
    assert [file.stem for file in kept] == ["0000004", "0000005", "0000007", "0000009"]
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in kept]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_what_is_logged_now_and_then_is_what_is_logged_always(encoded: Path, tmp_path: Path, accumulate: int) -> None:
    columns = ["loss", "gradient_norm", "learning_rate"]
    always, seldom = (
        train(encoded, tmp_path / str(every), accumulate=accumulate, log_every=every)[2].rows("train", columns)
        for every in (1, 5)
    )
    assert list(seldom) == [5, 10]
    assert seldom == {update: always[update] for update in seldom}


@pytest.mark.parametrize("accumulate", [1, 3])
def test_every_target_piece_is_counted_also_before_a_validation(encoded: Path, tmp_path: Path, accumulate: int) -> None:
    always, seldom = (
        train(encoded, tmp_path / str(every), accumulate=accumulate, log_every=every)[2].rows("train", ["tokens"])
        for every in (1, 5)
    )
    assert list(seldom) == [5, 10]
    for update, window in seldom.items():  # validations come after 4, 8 and 12 updates
        assert window["tokens"] == sum(always[one]["tokens"] for one in range(update - 4, update + 1))


def test_a_regularised_training_is_another_and_learns(encoded: Path, tmp_path: Path) -> None:
    _, plain, _ = train(encoded, tmp_path / "plain")
    _, other, curves = train(encoded, tmp_path / "other", regularised=True)
    assert not same(plain, other)
    judged = curves.rows("val", ["loss"])
    assert judged[12]["loss"] < judged[4]["loss"]


def test_ctrl_c_is_not_an_ordinary_failure(encoded: Path, tmp_path: Path) -> None:
    def press(network: Seq2Seq) -> float:
        signal.raise_signal(signal.SIGINT)
        return 0.0

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(encoded, tmp_path, score=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "last.ckpt").exists()


def test_the_weights_kept_are_those_that_translated_best(encoded: Path, tmp_path: Path) -> None:
    scores = iter([10.0, 30.0, 20.0])
    at_validation: list[dict[str, torch.Tensor]] = []

    def judge(network: Seq2Seq) -> float:
        at_validation.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return next(scores)

    best, weights, _ = train(encoded, tmp_path, score=judge)
    assert best == 8
    # What was judged, the averaged weights, is what is kept, also of a moment on the way.
    on_the_way = load_file(tmp_path / MOMENTS / "0000004.safetensors")
    assert same(on_the_way, {name: weight.half() for name, weight in at_validation[0].items()})
    assert same(weights, at_validation[1])
    assert not same(at_validation[1], at_validation[2])


def test_training_stops_when_translations_stop_getting_better(encoded: Path, tmp_path: Path) -> None:
    _, _, curves = train(encoded, tmp_path, updates=40, patience=2, score=lambda network: 5.0)
    assert list(curves.rows("val", ["bleu"])) == [4, 8, 12]


def test_accumulation_makes_one_update_of_several_batches(encoded: Path, tmp_path: Path) -> None:
    best, _, curves = train(encoded, tmp_path, updates=4, accumulate=3)
    assert best == 4
    assert list(curves.rows("train", ["learning_rate"])) == [1, 2, 3, 4]


def test_it_learns(encoded: Path, tmp_path: Path) -> None:
    _, _, curves = train(encoded, tmp_path, updates=12)
    losses = [row["loss"] for row in curves.rows("train", ["loss"]).values()]
    assert sum(losses[-3:]) < sum(losses[:3])
    judged = curves.rows("val", ["loss"])
    assert judged[12]["loss"] < judged[4]["loss"]


def test_curves_are_a_table_of_updates(encoded: Path, tmp_path: Path) -> None:
    _, _, curves = train(encoded, tmp_path / "run", updates=4)
    curves.write("val", ["loss", "bleu"], tmp_path / "out" / "validation.csv")
    header, row = (tmp_path / "out" / "validation.csv").read_text().splitlines()
    assert header == "update,loss,bleu"
    assert row.startswith("4,")


def test_too_short_a_training_has_no_model(encoded: Path, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"training\.validation\.every"):
        train(encoded, tmp_path, updates=3)


def test_cuda_where_there_is_none_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(EntenteError, match="trainer=auto"):
        Machine("cuda", 1, CPU.precision, None).device()
    assert Machine("auto", 1, CPU.precision, None).device() == "cpu"


def test_sides_of_different_length_are_an_error(encoded: Path, tmp_path: Path) -> None:
    for file in encoded.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_side(tmp_path / "train.fr", [[5, EOS]])
    with pytest.raises(EntenteError, match="90 sources and 1 targets"):
        ParallelData(tmp_path, tokens=100, accumulate=1, workers=0, seed=1, languages=("en", "fr"))


def test_rows_that_are_no_whole_pairs_are_an_error(encoded: Path) -> None:
    with pytest.raises(EntenteError, match="90 rows, which is no multiple of 4 segmentations"):
        ParallelData(encoded, tokens=100, accumulate=1, workers=0, seed=1, languages=("en", "fr"), segmentations=4)


def test_forgetting_removes_the_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.ckpt").write_bytes(b"x")
    forget(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_machine_cannot_be_is_an_error() -> None:
    with pytest.raises(EntenteError, match="several devices"):
        Machine("cpu", 2, CPU.precision, None).device()
    with pytest.raises(EntenteError, match="cdua"):
        Machine("cdua", 1, CPU.precision, None).device()


def test_a_sentence_beyond_the_networks_reach_is_an_error(encoded: Path, tmp_path: Path) -> None:
    for file in encoded.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_side(tmp_path / "val.fr", [[5] * 60 + [EOS]] * 12)
    with pytest.raises(EntenteError, match="61 pieces, but the network reads at most 40"):
        train(tmp_path, tmp_path / "run")
