"""The stage `attend`: attention to a few sentences, forced on the model's own translations: figures and a page."""

from pathlib import Path

from tqdm import tqdm

from entente.decoding.settings import Decoding
from entente.errors import for_people
from entente.evaluation.attention_maps import draw
from entente.model.weights import read_config
from entente.options import construct
from entente.pages.attention import Shown, write
from entente.translator import Translator
from pipelines.parameters import read
from pipelines.tracked_run import evaluated_run

MODEL, ATTENTION, PAGE = Path("artifacts/model"), Path("artifacts/attention"), Path("artifacts/attention.html")


@for_people
def main() -> None:
    """Draw every layer and head for the sentences in params.yaml, and log the figures to the model's run."""
    sentences = read("evaluation")["sentences"]
    translator = Translator.load(MODEL, "auto", construct(Decoding, read("decoding"), "decoding"))
    with evaluated_run(MODEL) as run:  # opened first: a store that cannot be used says so before the work
        _draw(translator, sentences)
        write([Shown("the trained model", translator, read_config(MODEL)["network"])], sentences, PAGE)
        run.artifact(ATTENTION, "attention")
        run.artifact(PAGE, "attention")


def _draw(translator: Translator, sentences: list[str]) -> None:
    ATTENTION.mkdir(parents=True, exist_ok=True)
    seen = translator.attend(tqdm(sentences, "drawing attention", delay=2))
    for number, sentence in enumerate(seen, start=1):
        for attention in sentence.maps:
            title = f"{sentence.sentence}  →  {sentence.translation}"
            draw(attention, title, ATTENTION / f"{number}_{attention.kind}.png")


if __name__ == "__main__":
    main()
