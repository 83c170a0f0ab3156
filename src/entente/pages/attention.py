"""The attention page: one self-contained HTML file in which a network can be looked into, and where it runs.

Where the page knows a network's ingredients, the network itself is in it, its weights in 16 bits: any sentence can be
typed, and parts be taken away. Of others the named sentences are recorded, with the attention that PyTorch computed.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from entente.evaluation.attention_maps import AttentionMap
from entente.text.cleaning import normalise
from entente.text.corpus import replacing
from entente.translator import Attended, Translator

SCRIPTS = ("subwords.js", "network.js", "search.js", "view.js", "panel.js", "more.js", "film.js", "main.js")
TITLE = "Where a Transformer looks"
LEAD = (
    "Every word gathers from other words, by weights that sum to 1. Point at a word, or walk with the arrow keys, to "
    "see from which; choose a head below."
)
# What network.js has; of each option of config.json, the kinds.
ALIVE: Mapping[str, Sequence[str]] = {
    "encoder_positions": ("none", "sinusoidal", "learned", "rotary"),
    "decoder_positions": ("none", "sinusoidal", "learned", "rotary"),
    "encoder_attention": ("scaled_dot_product", "dot_product", "uniform"),
    "decoder_attention": ("scaled_dot_product", "dot_product", "uniform"),
    "cross_attention": ("scaled_dot_product", "dot_product", "uniform"),
    "feed_forward": ("none", "linear", "relu"),
    "residual": ("pre_norm", "post_norm", "none"),
    "decoder_layer": ("standard",),
}
LEVELS = 65_535  # of a recorded weight, as main.js has it
MOST = 8_000_000  # parameters of a network that a page holds: some 20 MB


@dataclass(frozen=True)
class Shown:
    """A model to show, by the name that stands over it, and the options of its network."""

    name: str
    translator: Translator
    network: Mapping[str, Any]


def write(models: Sequence[Shown], sentences: Sequence[str], path: Path) -> None:
    """Write the page, which opens from disk."""
    with replacing(path) as temporary:
        temporary.write_text(page(models, sentences, served=False), encoding="utf-8")


def page(models: Sequence[Shown], sentences: Sequence[str], *, served: bool) -> str:
    """Return the page; where it is `served`, it asks the server for what it has no record of.

    It depends on the arguments only.
    """
    decoding = models[0].translator.decoding
    search = {
        "beam": decoding.beam,
        "lengthPenalty": decoding.length_penalty,
        "maxLengthFactor": decoding.max_length_factor,
        "maxLengthOffset": decoding.max_length_offset,
    }
    clean = [normalise(sentence) for sentence in sentences]
    content = {
        "sentences": clean,
        "served": served,
        "decoding": search,
        "models": [_model(model, clean) for model in models],
    }
    return written(content, TITLE, LEAD)


def written(content: Mapping[str, Any], title: str, lead: str) -> str:
    """Return the page of what main.js is to show, under a title and a line of introduction."""
    parts = {
        "title": title,
        "lead": lead,
        "style": _source("page.css"),
        "script": "\n".join(map(_source, SCRIPTS)),
        # Nothing in the data may end the element that it stands in.
        "data": json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    made = _source("page.html")
    for name, text in parts.items():
        made = made.replace(f"{{{{{name}}}}}", text)
    return made


def lacking(network: Mapping[str, Any]) -> str:
    """Say what of a network the page does not know, or nothing where it can run it."""
    if network["kind"] != "transformer":
        return str(network["kind"])
    return ", ".join(str(network[key]["kind"]) for key, kinds in ALIVE.items() if network[key]["kind"] not in kinds)


def _source(name: str) -> str:
    return (files("entente.pages") / name).read_text(encoding="utf-8")


def _model(model: Shown, sentences: Sequence[str]) -> dict[str, Any]:
    subwords, state = model.translator.subwords, model.translator.network.state_dict()
    missing, size = lacking(model.network), sum(tensor.numel() for tensor in state.values())
    shown: dict[str, Any] = {
        "name": model.name,
        "subwords": {"kind": subwords.kind, "pieces": subwords.pieces(range(len(subwords))), "scores": subwords.scores},
    }
    if not missing and size <= MOST:
        tensors = {name: [list(one.shape), _packed(one.cpu().numpy().astype("<f2"))] for name, one in state.items()}
        return shown | {"network": dict(model.network), "tensors": tensors}
    reason = missing or f"{size:,} parameters"
    return shown | {
        "why": f"This network ({reason}) does not run in the page",
        "recorded": {seen.sentence: recorded(seen) for seen in model.translator.attend(sentences)},
    }


def recorded(seen: Attended) -> dict[str, Any]:
    """Return the pieces of both sides and the weights (L, H, Q, S) of each kind of attention."""
    return {
        "translation": seen.translation,
        "source": seen.source,
        "heard": seen.heard,
        "written": seen.written,
        "maps": {one.kind: _weights(one) for one in seen.maps},
    }


def _weights(attention: AttentionMap) -> dict[str, Any]:
    levels = np.rint(attention.weights * LEVELS).astype("<u2")
    return {"shape": list(levels.shape), "weights": _packed(levels)}


def _packed(numbers: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(numbers.tobytes()).decode()
