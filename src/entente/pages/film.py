"""The film of a training: the attention page with a slider over moments, and what could be done at each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entente.pages.attention import recorded, written
from entente.text.corpus import replacing
from entente.translator import Attended

TITLE = "How a Transformer learns where to look"
LEAD = (
    "The same network at moments of its training: move the slider, and see when a head finds its work, when the "
    "sentence comes right, and which rules of French were learnt when."
)
WHY = "These are moments of a training"


@dataclass(frozen=True)
class Frame:
    """A moment: after how many updates, what was looked at, and right answers by phenomenon, 0 to 100."""

    updates: int
    seen: Sequence[Attended]
    right: Mapping[str, float]


def write(frames: Sequence[Frame], path: Path) -> None:
    """Write the page, which opens from disk. The bytes depend on the arguments only."""
    model = {"name": "the network", "why": WHY, "recorded": {}, "frames": [_frame(frame) for frame in frames]}
    content = {"sentences": [seen.sentence for seen in frames[-1].seen], "served": False, "models": [model]}
    with replacing(path) as temporary:
        temporary.write_text(written(content, TITLE, LEAD), encoding="utf-8")


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "updates": frame.updates,
        "recorded": {seen.sentence: recorded(seen) for seen in frame.seen},
        "right": {name.replace("_", " "): round(percent, 1) for name, percent in frame.right.items()},
    }
