"""Pages from templates: Markdown in which `{{verb argument ...}}` stands for what a verb says of its arguments."""

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from importlib import import_module
from importlib.resources import files

from entente.errors import EntenteError

Verb = Callable[..., str]

PAGES = (
    "README",
    "1_set_of_words",
    "2_attention",
    "3_positions",
    "4_feed_forward",
    "5_mask",
    "6_transformer",
)
FIGURE = re.compile(r"\]\((\w+)\.png\)")  # an image that a page shows, beside it

_PLACE = re.compile(r"\{\{(.+?)\}\}", re.DOTALL)
_SOURCES, _EXPERIMENTS = "../../src", "../../conf/experiment"  # from docs/guide


def read(page: str) -> str:
    """Return the template of a page."""
    return files("entente.guide").joinpath(f"{page}.md").read_text(encoding="utf-8")


def fill(text: str, verbs: Mapping[str, Verb]) -> str:
    """Put in place of each `{{verb argument ...}}` what the verb says. Raises EntenteError for an unknown verb."""

    def said(place: re.Match[str]) -> str:
        verb, *arguments = place[1].split()
        if verb not in verbs:
            raise EntenteError(f"the guide's templates have no verb {verb!r}: there are {', '.join(sorted(verbs))}")
        return verbs[verb](*arguments)

    return _PLACE.sub(said, text)


def headed(page: str, text: str) -> str:
    """Return a filled page with links to its neighbours below."""
    place = PAGES.index(page)
    links = [
        f"[{arrow} {title(PAGES[other])}]({PAGES[other]}.md)"
        for arrow, other in (("←", place - 1), ("→", place + 1))
        if 0 <= other < len(PAGES)
    ]
    return f"{text.rstrip()}\n\n---\n\n{' · '.join(links)}\n"


def title(page: str) -> str:
    """Return the heading of a page."""
    return read(page).partition("\n")[0].removeprefix("# ")


def of_sources() -> dict[str, Verb]:
    """Return the verbs that speak of the project's own files."""
    return {"class": _class, "code": _code, "experiment": _experiment, "run": _run}


def _class(module: str, name: str) -> str:
    """Name a class or function of `entente.MODULE`, linked to its file."""
    _named(module, name)
    return f"[`{name}`]({_SOURCES}/entente/{module.replace('.', '/')}.py)"


def _code(module: str, *names: str) -> str:
    """Show the code of classes, functions or methods as it stands in `entente.MODULE`."""
    shown = []
    for name in names:
        source = textwrap.dedent(inspect.getsource(_named(module, name))).rstrip()
        owner, dot, _ = name.rpartition(".")
        shown.append(f"# of {owner}\n{source}" if dot else source)
    return "\n".join(["```python", "\n\n\n".join(shown), "```"])  # as `ruff format` has it


def _named(module: str, name: str) -> Callable[..., object]:
    try:
        return reduce(getattr, name.split("."), import_module(f"entente.{module}"))  # type: ignore[return-value]
    except (ImportError, AttributeError) as error:
        raise EntenteError(f"the guide speaks of {name} in entente.{module}, which is gone: {error}") from error


def _experiment(name: str) -> str:
    """Name an experiment, linked to its options."""
    return f"[`{name}`]({_EXPERIMENTS}/{name}.yaml)"


def _run(*experiments: str) -> str:
    """Show how to run experiments beside the baseline."""
    names = ",".join(["baseline", *experiments])
    return f"```\npython -m pipelines.ablate --multirun experiment={names} seed=1,2,3\n```"


def listed(words: Sequence[str]) -> str:
    """Write a list as a sentence has it: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def number(value: float) -> str:
    """Write a number with three digits, very small ones as a power of ten."""
    if 0 < abs(value) < 1e-4:
        digits, exponent = f"{value:.1e}".split("e")
        return rf"${digits} \times 10^{{{int(exponent)}}}$"
    return f"{value:.3g}".replace("-", "−")
