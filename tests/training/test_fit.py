import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from entente.errors import EntenteError
from entente.model.seq2seq import Seq2Seq
from entente.text.subwords import EOS
from entente.training.curves import Curves
from entente.training.fit import MOMENTS, forget
from entente.training.parallel_data import ParallelData
from entente.training.settings import Machine
from tests.model.networks import transformer
from tests.training.fitting import CPU, train, write_side


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
    if moment > checkpoint_every:  # at most one interval is lost
        kept = torch.load(tmp_path / "b" / "last.ckpt", weights_only=True)
        assert kept["global_step"] >= moment - checkpoint_every
    best, resumed, curves = run("b", None)
    assert best == undisturbed
    assert same(weights, resumed)
    for kind, columns in (("train", ["loss", "gradient_norm"]), ("val", ["loss", "bleu"])):
        assert curves.rows(kind, columns) == whole.rows(kind, columns)
    first, again = (sorted((tmp_path / folder / MOMENTS).iterdir()) for folder in ("a", "b"))
    assert [file.stem for file in first] == ["0000004", "0000005", "0000007", "0000009"]
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in first]


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


@pytest.mark.parametrize(("asking", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize(("moment", "accumulate"), [(1, 1), (3, 3), (4, 1), (6, 1), (11, 3), (12, 1)])
def test_asked_to_stop_it_saves_what_it_has_and_goes_on_from_there(
    encoded: Path, tmp_path: Path, asking: signal.Signals, raised: type[BaseException], moment: int, accumulate: int
) -> None:
    _, weights, whole = train(encoded, tmp_path / "a", accumulate=accumulate, score=by_weights, checkpoint_every=99)
    before = signal.getsignal(asking)
    with pytest.raises(raised) as end:
        train(
            encoded,
            tmp_path / "b",
            accumulate=accumulate,
            score=by_weights,
            checkpoint_every=99,
            asked_at=(moment, asking),
        )
    assert getattr(end.value, "code", 143) == 143
    assert signal.getsignal(asking) is before
    made = (tmp_path / "b" / "curves.jsonl").read_text().count("gradient_norm")
    _, resumed, curves = train(encoded, tmp_path / "b", accumulate=accumulate, score=by_weights, checkpoint_every=99)
    assert same(weights, resumed)
    for kind, columns in (("train", ["loss", "gradient_norm"]), ("val", ["loss", "bleu"])):
        assert curves.rows(kind, columns) == whole.rows(kind, columns)
    lines = (tmp_path / "b" / "curves.jsonl").read_text()
    assert (made, lines.count("gradient_norm")) == (moment, 12)  # no update is made again


def test_who_asks_twice_does_not_wait(encoded: Path, tmp_path: Path) -> None:
    seen = []

    def press(network: Seq2Seq) -> float:
        signal.raise_signal(signal.SIGINT)
        seen.append("once")
        signal.raise_signal(signal.SIGINT)
        seen.append("twice")
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        train(encoded, tmp_path, score=press)
    assert seen == ["once"]


def test_a_checkpoint_that_is_cut_short_leaves_the_one_before(
    encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="plug"):
        train(encoded, tmp_path, interrupt_at=5)
    before = (tmp_path / "last.ckpt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as end:
            train(encoded, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path) in str(end.value.filename)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


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
    with pytest.raises(EntenteError, match="cdua"):
        Machine("cdua", 1, CPU.precision, None).device()


def test_a_sentence_beyond_the_networks_reach_is_an_error(encoded: Path, tmp_path: Path) -> None:
    for file in encoded.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_side(tmp_path / "val.fr", [[5] * 60 + [EOS]] * 12)
    with pytest.raises(EntenteError, match="61 pieces, but the network reads at most 40"):
        train(tmp_path, tmp_path / "run")
