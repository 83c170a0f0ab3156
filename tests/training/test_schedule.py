import pytest

from entente.errors import EntenteError
from entente.options import choose
from entente.training.schedule import SCHEDULES, InverseSquareRoot, LinearDecay


@pytest.mark.parametrize("kind", sorted(SCHEDULES))
def test_rises_to_the_peak_and_then_only_falls(kind: str) -> None:
    schedule = SCHEDULES[kind](peak=3e-3, warmup=10, updates=100)
    rates = [schedule(update) for update in range(100)]
    assert max(rates) == pytest.approx(3e-3, rel=0.02)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert min(rates) > 0


def test_inverse_square_root_halves_when_updates_grow_fourfold() -> None:
    schedule = InverseSquareRoot(peak=1.0, warmup=100, updates=10_000)
    assert schedule(3999) == pytest.approx(schedule(999) / 2)


def test_linear_decay_ends_at_nothing() -> None:
    schedule = LinearDecay(peak=1.0, warmup=10, updates=50)
    assert schedule(50) == 0
    assert schedule(30) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", sorted(SCHEDULES))
def test_a_warmup_of_nothing_is_an_error(kind: str) -> None:
    with pytest.raises(EntenteError, match=r"training\.schedule\.warmup"):
        choose(SCHEDULES, {"kind": kind, "peak": 1.0, "warmup": 0}, "training.schedule")(updates=10)
