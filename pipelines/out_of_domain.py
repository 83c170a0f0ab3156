"""How a training translates another corpus: `python -m pipelines.out_of_domain tests_of=tatoeba recipe=multi30k`.

Takes the overrides of a multirun, whose trainings must be done, in ablations/, and `tests_of`, a recipe whose test sets
are translated; where they are not prepared yet they are now, as the other overrides say.
"""

import shlex
import sys

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import EntenteError, for_people
from entente.evaluation import report
from entente.fingerprint import fingerprint
from entente.options import construct
from entente.tracking.runs import KIND
from entente.tracking.store import root
from pipelines.compose import CONF
from pipelines.ensemble import table
from pipelines.evaluate import evaluate
from pipelines.job import FOLDER, trained
from pipelines.sweep import UNNAMED, plan
from pipelines.tracked_run import open_runs

ASKED = "tests_of="
PREPARATION = ("download", "prepare")


@for_people
def main() -> None:
    """Translate the test sets with each training, log a run for each, and print the scores."""
    asked = [argument.removeprefix(ASKED) for argument in sys.argv[1:] if argument.startswith(ASKED)]
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith(ASKED)]
    if len(asked) != 1:
        raise EntenteError(f"name one recipe whose test sets to translate, such as {ASKED}tatoeba")
    others = [override for override in overrides if override.split("=", 1)[0] not in UNNAMED]
    other, *more = plan([*others, f"recipe={asked[0]}"], root() / CONF)
    if any(one.shared != other.shared for one in more):
        raise EntenteError("the test sets are of one corpus: give each key of corpus one value")
    models = trained(plan(overrides, root() / CONF), overrides)
    other.prepare({}, PREPARATION)
    tests, bounds = other.parameters["corpus"]["tests"], other.parameters["evaluation"]["length_bounds"]
    scored = {}
    for model, job in models.items():
        settings = job.parameters
        name = f"{settings['corpus']['name']}-{job.label}-s{job.seed}-on-{asked[0]}"
        decisive = {"model": model.parent.parent.name, "tests_of": other.shared.name, "decoding": settings["decoding"]}
        mark = fingerprint(decisive, [])
        folder = root() / FOLDER / "out_of_domain" / mark
        noted = {
            "corpus": other.parameters["corpus"],
            "decoding": settings["decoding"],
            "members": {"1": f"{job.label}, seed {job.seed}"},
            "command": shlex.join(["python", "-m", "pipelines.out_of_domain", *sys.argv[1:]]),
        }
        translator = Translator.load(model, "auto", construct(Decoding, settings["decoding"], "decoding"))
        with open_runs(settings["tracking"]).train(name, mark, noted, {KIND: "out_of_domain"}, resume=False) as run:
            prepared = other.shared / "data/prepared"
            scored[name] = evaluate(translator, translator.translate, prepared, tests, bounds, folder).metrics
            run.metrics(report.flatten({test: scored[name][test] for test in tests}, ""), step=0)
            run.artifact(folder, "out_of_domain")
    header, rows = table(scored, tests)
    print("\n".join(report.columns([header, *rows])))


if __name__ == "__main__":
    main()
