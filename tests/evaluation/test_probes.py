import json
from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.evaluation.probes import Probe, accuracies, judge, read_probes, summary, within

CAT = Probe("agreement", "The cats sleep.", "Les chats dorment.", "Les chats dort.", longer=False)
DOG = Probe("agreement", "The dog sleeps.", "Le chien dort.", "Le chien dorment.", longer=False)
FAR = Probe("agreement", "The cat, which ...", "Le chat, qui ...", "La chat, qui ...", longer=True)
NOT = Probe("negation", "She is not happy.", "Elle n'est pas contente.", "Elle est contente.", longer=False)


def line(**changes: object) -> str:
    entry = {"phenomenon": "order", "source": "a", "target": "b", "foil": "c", "longer": False}
    return json.dumps(entry | changes, ensure_ascii=False)


def test_probes_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text(line() + "\n" + line(target="Où ?", longer=True) + "\n", encoding="utf-8")
    assert read_probes(path) == [
        Probe("order", "a", "b", "c", longer=False),
        Probe("order", "a", "Où ?", "c", longer=True),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no probe"),
        (line() + "\nno json\n", "line 2: not JSON"),
        (line(note="x"), "line 1: expected an object with exactly the keys phenomenon, source"),
        ('{"phenomenon": "order"}', "exactly the keys"),
        ("[]", "exactly the keys"),
        (line(longer=1), "longer is 1, expected true or false"),
        (line(foil=None), "foil is None, expected text"),
    ],
)
def test_any_other_content_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EntenteError, match=message):
        read_probes(path)


def test_only_the_exact_answer_is_right() -> None:
    for answer in ("Les chats dorment", "les chats dorment.", "Les chats dort.", ""):
        assert judge([CAT], [answer], [1.0])[0].accuracy == 0
    assert judge([CAT], ["Les chats dorment."], [1.0])[0].accuracy == 100


def test_each_phenomenon_is_judged_apart_and_longer_ones_last() -> None:
    probes = [FAR, CAT, NOT, DOG]
    verdicts = judge(probes, ["?", CAT.target, NOT.target, "?"], [-1.0, 3.0, 2.0, -1.0])
    assert [(one.label, one.count, one.accuracy) for one in verdicts] == [
        ("agreement", 2, 50),
        ("negation", 1, 100),
        ("agreement (longer)", 1, 0),
    ]
    assert [one.margin for one in verdicts] == [1, 2, -1]
    assert [one.preferred for one in verdicts] == [50, 100, 0]


def test_an_undecided_choice_does_not_count_as_preferred() -> None:
    assert judge([CAT], [CAT.target], [0.0])[0].preferred == 0


def test_the_summary_weighs_phenomena_equally_and_keeps_longer_ones_apart() -> None:
    verdicts = judge([CAT, DOG, NOT, FAR], [CAT.target, DOG.target, "?", "?"], [1.0] * 4)
    assert summary(verdicts) == {"mean": 50, "worst": 0, "mean_longer": 0, "worst_longer": 0}
    assert summary(judge([CAT], [CAT.target], [1.0])) == {"mean": 100, "worst": 100}


def test_every_probe_needs_an_answer_and_a_margin() -> None:
    with pytest.raises(EntenteError, match="2 probes, 1 answers, 2 margins"):
        judge([CAT, DOG], ["?"], [1.0, 1.0])


def test_accuracies_are_what_the_verdicts_say() -> None:
    probes, answers = [CAT, NOT, DOG], [CAT.target, NOT.foil, DOG.foil]
    verdicts = judge(probes, answers, [0.0] * 3)
    assert (
        accuracies(probes, answers)
        == {one.phenomenon: one.accuracy for one in verdicts}
        == {
            "agreement": 50.0,
            "negation": 0.0,
        }
    )


def test_a_few_probes_of_each_phenomenon_leave_out_the_longer_ones() -> None:
    assert within([FAR, NOT, CAT, DOG], 1) == [CAT, NOT]
    assert within([FAR, NOT, CAT, DOG], 9) == [CAT, DOG, NOT]
