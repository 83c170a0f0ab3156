"""The stage `dissect`: what each head, each layer's attention and each kind of attention is worth to the model.

Each is put out in turn, without training anew (Michel et al. 2019, section 3); the rest translates greedily.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

from entente.decoding import greedy
from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import for_people
from entente.evaluation.dissection import Part, parts, without
from entente.evaluation.figures import heat_map
from entente.evaluation.probes import Probe, accuracies, read_probes, within
from entente.evaluation.report import write_table
from entente.evaluation.scores import bleu
from entente.options import construct
from entente.text.corpus import read_lines, read_references, replacing_folder
from pipelines.parameters import read
from pipelines.tracked_run import evaluated_run

PREPARED, MODEL, DISSECTION = Path("data/prepared"), Path("artifacts/model"), Path("artifacts/dissection")
ALL, HEADLINE = "all", ("bleu", "probes")

Figures = Mapping[str, float]

WHOLE: Part = ("whole", "", "")


@for_people
def main() -> None:
    """Dissect the model in artifacts/model as params.yaml says, and log what was found to its run."""
    limits, test = read("evaluation")["dissection"], read("corpus")["tests"][0]
    translator = Translator.load(MODEL, "auto", construct(Decoding, read("decoding"), "decoding"))
    sources = list(read_lines(PREPARED / f"{test}.en"))[: limits["sentences"]]
    references = read_references(PREPARED / f"{test}.references.jsonl")[: limits["sentences"]]
    path = PREPARED / "probes.jsonl"
    probes = within(read_probes(path), limits["probes"]) if path.exists() else []
    with evaluated_run(MODEL) as run:  # opened first: a store that cannot be used says so before the work
        found = dissect(translator, sources, references, probes)
        with replacing_folder(DISSECTION) as folder:
            write(found, folder)
        for kind in _kinds(found):
            drop = _drops(found)[kind, ALL, ALL]
            run.metrics({f"dissection/{kind}/{name}_drop": drop[name] for name in _headline(drop)}, step=0)
        run.artifact(DISSECTION, "dissection")  # MLflow shows the CSV in it as a table


def dissect(
    translator: Translator, sources: Sequence[str], references: Sequence[Sequence[str]], probes: Sequence[Probe]
) -> dict[Part, Figures]:
    """Return the figures of the whole network, then those that it keeps without each of its parts."""
    found: dict[Part, Figures] = {WHOLE: _figures(translator, sources, references, probes)}
    for part, heads in tqdm(parts(translator.network).items(), "dissecting", delay=2, unit=" parts"):
        with without(translator.network, heads):
            found[part] = _figures(translator, sources, references, probes)
    return found


def _figures(
    translator: Translator, sources: Sequence[str], references: Sequence[Sequence[str]], probes: Sequence[Probe]
) -> dict[str, float]:
    """Return BLEU, and where there are probes their accuracy by phenomenon after its mean, all 0 to 100."""
    answers = greedy.translate(
        translator.network,
        translator.subwords,
        [*sources, *(probe.source for probe in probes)],
        translator.device,
        max_length_factor=translator.decoding.max_length_factor,
        max_length_offset=translator.decoding.max_length_offset,
    )
    figures = {"bleu": bleu(answers[: len(sources)], references)}
    if probes:
        right = accuracies(probes, answers[len(sources) :])
        figures |= {"probes": fmean(right.values())} | right
    return figures


def write(found: Mapping[Part, Figures], folder: Path) -> None:
    """Write heads.csv, a row for each part after the whole network, and heat-maps."""
    names = list(found[WHOLE])
    drops = _drops(found)
    rows = [[*part, *(left[name] for name in _headline(left)), *drops[part].values()] for part, left in found.items()]
    header = ["kind", "layer", "head", *_headline(found[WHOLE]), *(f"{name}_drop" for name in names)]
    write_table(folder / "heads.csv", header, rows)
    _draw({part: drop for part, drop in drops.items() if part != WHOLE and part[2] != ALL}, folder)


def _draw(single: Mapping[Part, Figures], folder: Path) -> None:
    """Draw what goes with each single head: BLEU by layer and head of each kind, and answers by phenomenon."""
    widest = max([1.0, *(abs(drop["bleu"]) for drop in single.values())])  # one scale: the figures compare
    kinds: dict[str, dict[str, dict[str, float]]] = {}
    probes: dict[str, dict[str, float]] = {}
    for (kind, layer, head), drop in single.items():
        kinds.setdefault(kind, {}).setdefault(f"layer {layer}", {})[f"head {head}"] = -drop["bleu"]
        probes[f"{_spelt(kind)} {layer}.{head}"] = {
            name.replace("_", " "): -lost for name, lost in drop.items() if name not in HEADLINE
        }
    for kind, changes in kinds.items():
        title = f"{_spelt(kind).capitalize()}: BLEU without each head"
        heat_map(changes, title, "change in BLEU", folder / f"{kind}.png", -widest, widest, diverging=True)
    if any(probes.values()):
        title, label = "Probes without each head (layer.head)", "change in right answers, %"
        heat_map(probes, title, label, folder / "probes.png", -100, 100, diverging=True)


def _spelt(kind: str) -> str:
    return kind.replace("self_", "self-").replace("cross_", "cross-").replace("_", " ")


def _drops(found: Mapping[Part, Figures]) -> dict[Part, Figures]:
    whole = found[WHOLE]
    return {part: {name: whole[name] - left[name] for name in whole} for part, left in found.items()}


def _kinds(found: Mapping[Part, Figures]) -> list[str]:
    return [kind for kind, layer, _ in found if layer == ALL]


def _headline(figures: Figures) -> list[str]:
    return [name for name in HEADLINE if name in figures]


if __name__ == "__main__":
    main()
