"""Carry the runs, files and registered models of one tracking store to the one that MLFLOW_TRACKING_URI names.

It can be interrupted and repeated: what was carried is not carried twice, what came since is added.
"""

import argparse
import os

from tqdm import tqdm

from entente.errors import EntenteError, for_people, masked
from entente.tracking.migration import Migration
from entente.tracking.store import SQLITE, resolved, tracking_uri


@for_people
def main() -> None:
    """Carry everything there is, and say how much it was."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.migrate", description=__doc__)
    parser.add_argument("--from", dest="source", metavar="URI", default=f"{SQLITE}mlflow.db", help="(%(default)s)")
    source, target = resolved(parser.parse_args().source), tracking_uri()
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # else two lines for every run
    migration = Migration(source, target)
    try:
        runs = migration.runs()
        lacking = sum(migration.carry(run) for run in tqdm(runs, unit="run", dynamic_ncols=True))
        versions = migration.models()
    except EntenteError as error:
        raise EntenteError(f"{error}\nThe same command goes on where this one ended.") from error
    print(f"{masked(target)} has the {len(runs)} runs of {masked(source)}: {lacking} were new or had changed,")
    print(f"and {versions} versions of registered models were new.")


if __name__ == "__main__":
    main()
