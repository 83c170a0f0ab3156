from pathlib import Path

import pytest

from entente.text import subwords

SENTENCES = [
    "I love you.",
    "The cat, which is fluffy, sleeps.",
    "The dog chased the cat; the cat slept.",
    "Do you see the old house?",
    "Élodie n'a pas vu l'été, « bien sûr » !",
]


@pytest.fixture(scope="session")
def subwords_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subwords")
    (folder / "text").write_text("\n".join(SENTENCES * 5) + "\n", encoding="utf-8")
    subwords.learn([folder / "text"], folder, kind="bpe", vocabulary=340, threads=1, sample=1000)
    return folder / "subwords.model"
