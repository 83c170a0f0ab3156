"""The trained model on the guide's pages: what is said of it, by name, and the figures of it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.evaluation.attention_maps import readable
from entente.evaluation.markdown import table
from entente.guide import demonstrations as shown
from entente.guide import drawings
from entente.guide.demonstrations import CHASED, RELATIVE, REVERSED, Look
from entente.guide.template import number
from entente.model import weights

NOT_HAPPY = "She is not happy."
NEIGHBOURS = ("cat", "cats", "sister", "happy", "is", "chat", "dort")
_STEPS = 41  # points of a line
_FIRST = 4  # numbers of a vector that are shown

Draw = Callable[[Path], None]


@dataclass(frozen=True)
class Trained:
    """What is said of a trained model, and its figures, by name."""

    facts: Mapping[str, str]
    figures: Mapping[str, Draw]


def trained(folder: Path, decoding: Decoding, nouns: Mapping[str, bool]) -> Trained:
    """Look into the model in `folder`, on the CPU. `nouns` of English are marked where they are feminine in French."""
    translator = Translator.load(folder, "cpu", decoding)
    own, unplaced = weights.load(folder), shown.altered(folder, {"encoder_positions": {"kind": "none"}})
    head = shown.look(translator, RELATIVE, shown.VERB, shown.NOUN)
    [translation] = translator.translate([RELATIVE])
    without, sinusoidal = (shown.reordered(translator, network, CHASED, REVERSED) for network in (unplaced, own))
    unmasked = shown.altered(folder, {"kind": "unmasked_transformer"})
    leaks = {
        name: number(shown.leak(translator, network, RELATIVE, translation))
        for name, network in (("leak", translator.network), ("leak_unmasked", unmasked))
    }
    facts = _sizes(translator, folder) | _pieces(translator, nouns) | _followed(head) | leaks
    facts |= {"permuted": number(without.nearest), "ordered": number(sinusoidal.nearest)}
    facts |= {"additivity": _shares(shown.additivity(translator, own, NOT_HAPPY)), "beam": _beam(translator)}
    facts |= {"beam_width": str(decoding.beam), "length_penalty": f"{decoding.length_penalty:g}"}
    lines = shown.along(translator, own, NOT_HAPPY, _STEPS)
    pieces, masked = shown.decoder_weights(translator, RELATIVE, translation)
    figures: dict[str, Draw] = {
        "heads": lambda path: drawings.heads(head, path),
        "sinusoids": lambda path: drawings.sinusoid(translator.network.width, path),
        "reordered": lambda path: drawings.reordered(without, sinusoidal, path),
        "bent": lambda path: drawings.bent(lines, path),
        "triangle": lambda path: drawings.triangle(pieces, masked, path),
    }
    return Trained(facts | {"translation": translation}, figures)


def _sizes(translator: Translator, folder: Path) -> dict[str, str]:
    config = weights.read_config(folder)
    network = config["network"]
    sizes = {name: f"{network[name]:,}" for name in ("width", "hidden", "heads", "encoder_layers", "decoder_layers")}
    return sizes | {
        "head_width": f"{network['width'] // network['heads']}",
        "vocabulary": f"{config['vocabulary']:,}",
        "parameters": f"{sum(one.numel() for one in translator.network.parameters()):,}",
        "clocks": f"{network['width'] // 2}",
        "origin": _origin(config.get("fingerprint", "unknown"), folder / weights.WEIGHTS),
    }


def _origin(fingerprint: str, file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return (
        "The trained model of these pages is that of the default recipe, as `dvc repro` makes it: fingerprint of "
        f"configuration, data and sources `{fingerprint}`, weights' sha256 `{digest}…`. Another machine sums in "
        "another order, and has other last digits."
    )


def _pieces(translator: Translator, nouns: Mapping[str, bool]) -> dict[str, str]:
    [ids] = translator.subwords.encode([RELATIVE])
    pieces = readable(translator.subwords.pieces(ids))
    near = shown.neighbours(translator, NEIGHBOURS, 5)
    count, share, chance = shown.kindred(translator, nouns)
    rows = [[f"*{name}*", ", ".join(f"{piece} {cosine:.2f}" for piece, cosine in own)] for name, own in near.items()]
    return {
        "sentence": RELATIVE,
        "pieces": " ".join(f"`{piece}`" for piece in pieces),
        "ids": ", ".join(map(str, ids)),
        "nouns": str(count),
        "kindred": f"{100 * share:.0f}",
        "chance": f"{100 * chance:.0f}",
        "neighbours": "\n".join(table(["piece", "nearest pieces, with their cosine"], rows)),
    }


def _followed(look: Look) -> dict[str, str]:
    """Spell out what a head makes of its query."""
    rows = []
    for place, piece in enumerate(look.pieces):
        key = " ".join(_signed(value) for value in look.k[place, :_FIRST].tolist())
        product, weight = float(look.products[place]), float(look.weights[place])
        scaled = product / look.q.shape[0] ** 0.5
        cells = [piece, f"{key} …", _signed(product), _signed(scaled), f"{weight:.3f}"]
        rows.append([f"**{cell}**" for cell in cells] if place == look.key else cells)
    header = ["key", f"its first {_FIRST} numbers", "$q \\cdot k$", "$q \\cdot k / \\sqrt{d_k}$", "weight"]
    return {
        "layer": str(look.layer),
        "head": str(look.head),
        "query": look.pieces[look.query],
        "key": look.pieces[look.key],
        "keys": str(len(look.pieces)),
        "weight": f"{float(look.weights[look.key]):.2f}",
        "q": " ".join(_signed(value) for value in look.q[:_FIRST].tolist()),
        "output": " ".join(_signed(value) for value in look.output[:_FIRST].tolist()),
        "worked": "\n".join(table(header, rows)),
        "apart": number(look.apart),
    }


def _shares(found: Mapping[str, float]) -> str:
    rows = [[name, number(value)] for name, value in found.items()]
    return "\n".join(table(["sublayer of the encoder", "departure from additivity"], rows))


def _beam(translator: Translator) -> str:
    [found] = translator.hypotheses([RELATIVE], translator.decoding.beam)
    rows = [
        [one.text, f"{one.log_probability:.3f}".replace("-", "−"), f"{one.score:.3f}".replace("-", "−")]
        for one in found
    ]
    return "\n".join(table(["hypothesis", "log p, nats", "score"], rows))


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
