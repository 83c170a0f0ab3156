import torch

from entente.model.positions import POSITIONS, sinusoids


def test_a_shift_is_one_fixed_rotation() -> None:
    table = sinusoids(60, 32).double()
    sines, cosines = table[:, 0::2], table[:, 1::2]  # (T, D/2) each
    for shift in (1, 5, 17):
        # The rotation that takes the first position to its successor takes every position to its successor.
        s, c = sines[shift], cosines[shift]
        torch.testing.assert_close(sines[:-shift] * c + cosines[:-shift] * s, sines[shift:], rtol=0, atol=1e-5)
        torch.testing.assert_close(cosines[:-shift] * c - sines[:-shift] * s, cosines[shift:], rtol=0, atol=1e-5)


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(50, 8)
    position, i = 7, 2
    angle = torch.tensor(position / 10_000 ** (2 * i / 8))
    torch.testing.assert_close(table[position, 2 * i], angle.sin())
    torch.testing.assert_close(table[position, 2 * i + 1], angle.cos())


def test_no_two_positions_look_alike() -> None:
    table = sinusoids(1024, 128)
    distances = torch.cdist(table, table) + torch.eye(1024) * 100
    assert distances.min() > 0.1


def test_marking_from_a_start_is_marking_the_whole_and_cutting() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 9, 16)
    for kind in POSITIONS.values():
        positions = kind(width=16, heads=2, max_length=12)
        torch.testing.assert_close(positions.embed(x, 0)[:, 4:], positions.embed(x[:, 4:], 4))


def test_only_positions_tell_equal_words_apart() -> None:
    x = torch.ones(1, 6, 16)
    apart = {
        name: bool((kind(width=16, heads=2, max_length=8).embed(x, 0).std(1) > 0).any())
        for name, kind in POSITIONS.items()
    }
    assert apart == {"none": False, "sinusoidal": True, "learned": True}
