"""The YAML files that a grammar is read from."""

from pathlib import Path
from typing import Any

import yaml

from entente.errors import EntenteError

# What an entry of another shape than its neighbours raises.
MISFITS = (AttributeError, LookupError, TypeError, ValueError)


def read_yaml(path: Path) -> Any:
    """Parse a YAML file of the grammar; a missing or broken one is an `EntenteError` that names it."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EntenteError(f"{path} is missing; the grammar needs it. Restore it from git.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as of bytes, dates, and lists without end
        raise EntenteError(f"{path} is not YAML in UTF-8: {error}. Mend it or restore it from git.") from error
