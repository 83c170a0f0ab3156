"""A trained model as MLflow can serve it: its folder, the code it needs, and what may be asked of it."""

import logging
from importlib.metadata import version
from pathlib import Path

import mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from packaging.version import Version

import entente
from entente.service.answers import Question

NEEDED = ("mlflow", "torch", "sentencepiece", "safetensors", "numpy", "matplotlib", "pydantic", "typing_extensions")
EXAMPLE = ["I love you.", "The cat, which is fluffy, sleeps."]
logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # "Validating input example against model signature"
TYPES = {int: DataType.long, float: DataType.double, bool: DataType.boolean}


def package(folder: Path, place: Path) -> None:
    """Write to `place`, a new folder, what MLflow serves of the model in `folder`."""
    mlflow.pyfunc.save_model(
        place,
        python_model=Path(__file__).with_name("served_model.py"),
        artifacts={"model": str(folder)},
        code_paths=[str(Path(entente.__file__).parent)],
        pip_requirements=[f"{name}=={Version(version(name)).public}" for name in NEEDED],
        signature=signature(),
        input_example=EXAMPLE,
    )


def signature() -> ModelSignature:
    """Return that sentences go in, translations come out, and that the parameters are the fields of a Question."""
    options = {name: field for name, field in Question.model_fields.items() if name != "sentences"}
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(DataType.string, "translation")]),
        params=ParamSchema(
            [ParamSpec(name, TYPES[field.annotation], field.default) for name, field in options.items()]  # type: ignore[index]
        ),
    )
