"""`dvc push --run-cache` with all that the recorded runs put out, so that nobody else need train what is trained.

DVC 3.67 sends what dvc.lock names and the records of all runs, but not the files that those records speak of:
metrics, which git keeps, and the outs of other experiments. Where one is missing `dvc repro --pull` trains anew.
"""

import argparse
import sys
from pathlib import Path

from dvc.cli import main as dvc
from dvc.repo import Repo

from entente.errors import EntenteError, for_people


@for_people
def main() -> None:
    """Push to a remote: outs, then what else the runs put out, then their records. DVC says why it cannot."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.push", description=__doc__)
    parser.add_argument("-r", "--remote", help="as `dvc remote list` names it; otherwise the default one")
    remote = parser.parse_args().remote
    named = ["--remote", remote] if remote else []
    if status := dvc(["push", *named]):
        sys.exit(status)
    sent, runs = push_runs(remote)
    print(f"{sent} more files of {runs} recorded runs pushed")
    sys.exit(dvc(["push", "--run-cache", *named]))


def push_runs(remote: str | None) -> tuple[int, int]:
    """Push all files that records of runs speak of and that are not there yet. Returns how many, and of how many runs.

    Raises EntenteError where the remote does not take them.
    """
    with Repo() as repo:
        records = [record.parts[-2:] for record in Path(repo.stage_cache.cache_dir).glob("*/*/*")]
        files = set().union(*repo.stage_cache.get_used_objs(records).values())
        try:
            sent, failed = repo.cloud.push(files, remote=remote)
        except Exception as error:  # the libraries of S3, SSH and the rest have no error in common
            raise EntenteError(f"the remote took no more ({error}): push again") from error
    if failed:
        raise EntenteError(f"the remote did not take {len(failed)} files of recorded runs: push again")
    return len(sent), len(records)


if __name__ == "__main__":
    main()
