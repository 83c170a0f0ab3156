"""A trained model as MLflow serves it: from this code and the files of a model's folder, so that nothing unpickles.

MLflow runs this file where the model is loaded; the package lies beside it (`registry.package` puts it there).
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from pydantic import ValidationError

from entente.errors import EntenteError
from entente.service.answers import Question, Service, problems
from entente.translator import Translator


class ServedModel(PythonModel):
    """English in, French out: a row of `translation` for each sentence, and of what else was asked for."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model's folder."""
        self._service = Service(Translator.load(context.artifacts["model"]), ThreadPoolExecutor(1))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Translate the column of sentences; `params` are the other fields of entente.service.answers.Question."""
        try:
            question = Question(sentences=list(model_input.iloc[:, 0]), **(params or {}))
            answers = self._service.answer(question)
        except ValidationError as error:
            raise MlflowException(problems(error.errors()), INVALID_PARAMETER_VALUE) from error
        except EntenteError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        return pd.DataFrame([answer.model_dump(exclude_none=True) for answer in answers])


set_model(ServedModel())
