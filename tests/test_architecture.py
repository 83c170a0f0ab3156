"""The house stands as drawn: imports go down, stages know what they depend on, rooms stay small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"text": 1, "model": 1, "training": 2, "decoding": 2, "evaluation": 2}
FLOORS |= {"export": 2, "translator": 3, "pages": 4, "guide": 4, "service": 5, "tracking": 6, "commands": 6}
GROUND = {"entente", "entente.device", "entente.errors", "entente.options", "entente.fingerprint", "entente.memory"}
HOMES = {
    "sentencepiece": {"src/entente/text/subwords.py"},
    "sacrebleu": {"src/entente/evaluation/scores.py"},
    "sacremoses": {"src/entente/evaluation/scores.py"},
    "matplotlib": {
        "src/entente/evaluation/attention_maps.py",
        "src/entente/evaluation/figures.py",
        "src/entente/guide/drawings.py",
    },
    "scipy": {"src/entente/evaluation/comparison.py"},
    "safetensors": {"src/entente/model/weights.py"},
    "ctranslate2": {"src/entente/export/ctranslate2.py"},
}
# Where constructors say within which bounds an option is; `entente.options` holds them to it.
ANNOTATED = ("src/entente/options.py", "src/entente/model/", "src/entente/text/", "src/entente/training/", "pipelines/")
FOLDERS = {
    "lightning": ("src/entente/training/", "src/entente/tracking/logger.py"),
    "mlflow": ("src/entente/tracking/",),
    "pandas": ("src/entente/tracking/served_model.py",),
    "fastapi": ("src/entente/service/",),
    "pydantic": ("src/entente/service/", "src/entente/tracking/served_model.py", *ANNOTATED),
}
FOLDERS |= {"hydra": ("pipelines/",), "omegaconf": ("pipelines/",)}

# A stage's results do not hang on these: words for people, where to compute, how memory is held and options are read.
FREE = {f"entente.{name}" for name in ("device", "errors", "memory", "options")}
FREE |= {"pipelines.groups", "pipelines.parameters", "pipelines.tracked_run"}
PACKED = {"entente.tracking.registry", "entente.tracking.served_model"}  # of tracking, what makes a registered model


def sources() -> list[Path]:
    return sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "pipelines").glob("*.py")])


def module_name(file: Path) -> str:
    relative = file.relative_to(ROOT / "src" if "src" in file.relative_to(ROOT).parts else ROOT)
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for file in sources()}


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports anywhere, ours by their full name."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (below & MODULES.keys()) or {node.module}
    return found


def closure(module: str) -> set[str]:
    """Return our modules that `module` imports, however indirectly."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        current = waiting.pop()
        found.add(current)
        waiting |= (imports(MODULES[current]) & MODULES.keys()) - found
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or module.removeprefix("entente.") in FLOORS else ""


@pytest.mark.parametrize("module", sorted(name for name in MODULES if room(name)))
def test_imports_go_down_never_up_nor_sideways(module: str) -> None:
    for other in imports(MODULES[module]) & MODULES.keys():
        below = other in GROUND or room(other) == room(module) or FLOORS.get(room(other), 9) < FLOORS[room(module)]
        assert below, f"{module} imports {other}"


def test_every_library_has_one_home() -> None:
    for file in sources():
        place = file.relative_to(ROOT).as_posix()
        for library in {name.split(".")[0] for name in imports(file)}:
            assert place in HOMES.get(library, {place}), f"{place} imports {library}"
            assert place.startswith(FOLDERS.get(library, ("",))), f"{place} imports {library}"


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_exactly_what_it_imports(stage: str) -> None:
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "pipelines/"))]
    used = closure(f"pipelines.{stage}")
    if "entente.tracking.registry" in used:
        used |= closure("entente.tracking.served_model")  # which it packs by its path
    needed = {
        MODULES[module].relative_to(ROOT).as_posix()
        for module in used
        if module not in FREE and MODULES[module].name != "__init__.py"
        if room(module) != "tracking" or module in PACKED
    }
    missing = {file for file in needed if not file.startswith(tuple(deps))}
    assert not missing
    idle = {dep for dep in deps if not any(file.startswith(dep) for file in needed)}
    assert not idle


def test_search_and_reports_do_not_retrain() -> None:
    train = closure("pipelines.train")
    assert not train & {"entente.decoding.beam", "entente.evaluation.probes", "entente.evaluation.report"}
    assert "entente.evaluation.scores" in train  # it chooses the weights to keep


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_fit_a_reader(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 50, node.name


def calls(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_loaded_runs_no_code(file: Path) -> None:
    """Ruff refuses eval, exec, unsafe YAML and shell strings; these load pickles unless they are told not to."""
    assert not imports(file) & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for call in calls(file):
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if ast.unparse(call.func) == "torch.load":
            assert told.get("weights_only") == "True"
        if ast.unparse(call.func) in ("np.load", "numpy.load"):
            assert "allow_pickle" not in told
        assert "shell" not in told


def test_no_configuration_names_code_to_run() -> None:
    """Hydra's own section is the exception: nothing of it reaches params.yaml."""
    for file in sorted((ROOT / "conf").rglob("*.yaml")):
        content = yaml.safe_load(file.read_text())
        if isinstance(content, dict):
            content.pop("hydra", None)
        assert "_target_" not in str(content), file


def test_the_package_and_its_command_are_light_to_import() -> None:
    heavy = "torch", "lightning", "mlflow", "hydra", "sacrebleu", "matplotlib", "sentencepiece"
    code = f"import sys, entente, entente.cli; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert out.stdout.strip() == "[]"
