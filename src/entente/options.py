"""Options by name: keys of the YAML are a constructor's arguments; `kind` picks the class from a table."""

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
    _refuse_unknown(kinds[kind], keys, f"{place}: {kind}")
    return partial(kinds[kind], **keys)


def construct(kind: Callable[..., T], keys: Mapping[str, Any], place: str) -> T:
    """Call a constructor with the keys of one place of the configuration: each of them known, none missing.

    Raises EntenteError that names the place and the keys.
    """
    known = _refuse_unknown(kind, keys, place)
    missing = [name for name, value in known.items() if name not in keys and value.default is value.empty]
    if missing:
        raise EntenteError(f"{place} lacks {', '.join(missing)}; conf/ has an example in every option of that group")
    return kind(**keys)


def _refuse_unknown(kind: Callable[..., object], keys: Mapping[str, Any], who: str) -> Mapping[str, inspect.Parameter]:
    known = inspect.signature(kind).parameters
    unknown = sorted(set(keys) - set(known))
    if unknown:
        raise EntenteError(f"{who} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    return known
