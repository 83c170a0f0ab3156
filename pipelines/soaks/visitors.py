"""Who visits `entente serve`, for Locust: people who type, programs that send batches, and some who ask nonsense."""

import os
import random
from pathlib import Path

from locust import HttpUser, between, task

from entente.text.corpus import read_lines

SENTENCES = list(read_lines(Path(os.environ["ENTENTE_SENTENCES"])))
NONSENSE: tuple[object, ...] = (
    {"sentences": []},
    {"sentences": "I love you."},
    {"sentences": ["I love you."], "beam": 0},
    [1],
    None,
)


class Visitor(HttpUser):
    """Asks, reads for up to half a second, and asks again."""

    wait_time = between(0, 0.5)

    @task(10)
    def sentence(self) -> None:
        """Ask for one sentence, short or as long as several."""
        text = " ".join(random.choices(SENTENCES, k=random.choice((1, 1, 1, 2, 5))))
        self._ask("sentence", {"sentences": [text]}, 1)

    @task(2)
    def several(self) -> None:
        """Ask for a batch, greedily."""
        sentences = random.choices(SENTENCES, k=random.randint(2, 16))
        self._ask("batch", {"sentences": sentences, "beam": 1}, len(sentences))

    @task(1)
    def attention(self) -> None:
        """Ask what the words looked at."""
        self._ask("attention", {"sentences": [random.choice(SENTENCES)], "attention": True}, 1)

    @task(1)
    def page(self) -> None:
        """Open the page."""
        self.client.get("/", name="page")

    @task(1)
    def nonsense(self) -> None:
        """Ask what cannot be answered; what is expected is to be told so."""
        with self.client.post("/translate", json=random.choice(NONSENSE), name="nonsense", catch_response=True) as told:
            if told.status_code == 422 and told.json()["error"]:
                told.success()
            else:
                told.failure(f"answered {told.status_code}")

    def _ask(self, name: str, question: dict[str, object], answers: int) -> None:
        with self.client.post("/translate", json=question, name=name, catch_response=True) as answer:
            if answer.ok and len(answer.json()["translations"]) != answers:
                answer.failure("not as many translations as sentences")
