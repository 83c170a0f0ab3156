"""The page of samples: the best, those in the middle and the worst, with what was written of them."""

from pipelines.samples import COUNT, choose, page

FRENCH = ["Le", "chat", "noir", "dort", "sur", "le", "vieux", "lit", "de", "la", "voisine", ",", "près", "du", "feu"]


def rows(count: int) -> list[dict[str, str]]:
    """Each a little worse than the one before."""
    return [
        {
            "source": f"Cat {number}",
            "hypothesis": " ".join(FRENCH[: len(FRENCH) - number % len(FRENCH)]) + " | x" * (number // len(FRENCH)),
            "reference_1": " ".join(FRENCH),
        }
        for number in range(count)
    ]


def test_they_are_the_best_the_middle_and_the_worst() -> None:
    chosen = choose(rows(60))
    scores = [[one.chrf for one in own] for own in chosen.values()]
    assert [len(own) for own in scores] == [COUNT] * 3
    assert scores[0][0] == 100
    assert min(scores[0]) >= max(scores[1])
    assert min(scores[1]) >= max(scores[2])
    assert scores[2] == sorted(scores[2])


def test_few_sentences_are_all_shown() -> None:
    assert [len(own) for own in choose(rows(3)).values()] == [3, 3, 3]


def test_what_was_written_by_hand_stands_beside_its_translation_and_a_bar_breaks_no_table() -> None:
    chosen = choose(rows(30))
    worst = chosen["The worst"][0]
    text = page(chosen, {worst.translation: "It stops too early."}, "test2016", "baseline, seed 1", "python")
    [line] = [line for line in text.splitlines() if line.endswith("| It stops too early. |")]
    assert line.startswith(f"| {worst.source} | ")
    assert line.replace("\\|", "").count("|") == 6
