"""Options by name: `kind` in the YAML picks a class from a table, the other keys are that constructor's arguments."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from entente.errors import EntenteError

T = TypeVar("T")


def choose(kinds: Mapping[str, Callable[..., T]], option: Mapping[str, Any], place: str) -> Callable[..., T]:
    """Return the constructor that `option["kind"]` names, with the option's other keys bound to it.

    Raises EntenteError for an unknown kind or key, listing what there is; `place` says where in the configuration.
    """
    keys = dict(option)
    kind = keys.pop("kind", None)
    if kind not in kinds:
        raise EntenteError(f"{place}: unknown kind {kind!r}; there are {', '.join(sorted(kinds))}")
    known = inspect.signature(kinds[kind]).parameters
    unknown = sorted(set(keys) - set(known))
    if unknown:
        raise EntenteError(f"{place}: {kind} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    return partial(kinds[kind], **keys)
