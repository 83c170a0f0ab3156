"""Options by name: keys of the YAML are a constructor's arguments; `kind` picks the class from a table.

The annotations of a constructor say what its arguments may be: their types, and their bounds as pydantic states them.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache, partial
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from entente.errors import EntenteError

T = TypeVar("T")
Option = Mapping[str, Any]  # for `choose`


def _without_folders(name: str) -> str:
    if not re.fullmatch(r"[^./\\\s][^/\\\0]*", name):
        raise ValueError("it should be a name for a file, without folders")
    return name


FileName = Annotated[str, AfterValidator(_without_folders)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

_WORDS = {
    r"^(Input|String|Value) should": "it should",
    r"^Value error, ": "",
    r"greater than or equal to": "at least",
    r"less than or equal to": "at most",
    r"a valid dictionary": "a group of options",
    r"^'str' instances.*": "it should be a list",
    r"an instance of Sequence": "a list",
    r" after validation, not 0$": "",
}
_LONGEST = 60  # characters of a value that an error shows
# A number is a number, not its text nor true or false.
_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


def choose(
    kinds: Mapping[str, Callable[..., T]], option: Option, place: str, *, whole: bool = False
) -> Callable[..., T]:
    """Return the constructor that `option["kind"]` names, with the option's other keys bound to it.

    Raises EntenteError for an unknown kind or key, listing what there is, and for a value that the constructor does
    not take; for what is missing when it is called, or, where the option is the `whole` of it, at once. `place` says
    where in the configuration.
    """
    keys = dict(checked(Option, option, place))
    kind = keys.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise EntenteError(f"{place}: unknown kind {kind!r}; there are {', '.join(sorted(kinds))}")
    _refuse_unknown(kinds[kind], keys, f"{place}: {kind}")
    keys = _checked(kinds[kind], keys, place)
    if whole:
        _refuse_missing(kinds[kind], keys, place)
    return partial(_called, kinds[kind], keys, place)


def construct(kind: Callable[..., T], keys: Option, place: str) -> T:
    """Call a constructor with the keys of one place of the configuration: each of them known, none missing.

    An argument that is a dataclass is constructed of the keys below. Raises EntenteError that names place and keys.
    """
    keys = checked(Option, keys, place)
    _refuse_unknown(kind, keys, place)
    return _called(kind, _checked(kind, keys, place), place)


def checked(annotation: Any, value: Any, place: str) -> Any:
    """Return what the configuration has in a place, which is to be what an annotation says.

    Raises EntenteError where it is anything else.
    """
    if is_dataclass(annotation):
        return construct(annotation, value, place)  # type: ignore[arg-type]
    try:
        _adapter(annotation).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (place, *first["loc"])))
        raise EntenteError(f"{where} is {first['input']!r:.{_LONGEST}}; {_in_words(first['msg'])}") from error
    return value


def _in_words(message: str) -> str:
    """Say what pydantic expected in the words of a configuration."""
    for theirs, ours in _WORDS.items():
        message = re.sub(theirs, ours, message)
    return message


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=_STRICT)


def _called(kind: Callable[..., T], keys: Option, place: str, *given: Any, **more: Any) -> T:
    """Call a constructor with the keys of its place, and with what does not come from there."""
    if twice := keys.keys() & more.keys():
        raise EntenteError(f"{place} has no option {', '.join(sorted(twice))}: that is known from elsewhere")
    _refuse_missing(kind, {**keys, **_checked(kind, more, place)}, place, *given)
    return kind(*given, **keys, **more)


def _refuse_missing(kind: Callable[..., object], keys: Option, place: str, *given: Any) -> None:
    signature = inspect.signature(kind)
    bound = signature.bind_partial(*given, **keys).arguments
    missing = [name for name, one in signature.parameters.items() if name not in bound and one.default is one.empty]
    if missing:
        raise EntenteError(f"{place} lacks {', '.join(missing)}; conf/ has an example in every option of that group")


def _checked(kind: Callable[..., object], keys: Option, place: str) -> dict[str, Any]:
    known = inspect.signature(kind).parameters
    return {
        name: checked(known[name].annotation, value, f"{place}.{name}".removeprefix("."))
        for name, value in keys.items()
    }


def _refuse_unknown(kind: Callable[..., object], keys: Option, who: str) -> None:
    known = inspect.signature(kind).parameters
    unknown = sorted(set(map(str, keys)) - set(known))
    if unknown:
        raise EntenteError(f"{who or 'params.yaml'} has no option {', '.join(unknown)}; it has {', '.join(known)}")
