"""The model that MLflow serves. MLflow runs this file to load one, as "models from code"."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from pipeline.runs.answers import Answering


class Served(PythonModel):
    """Answers raw rows with what the network makes of them: `pipeline.runs.answers`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network and what it knows of its data."""
        self.answering = Answering.open(Path(context.artifacts["model"]).parent)

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer raw rows, as `Answering.inputs` takes them and `Answering.answer` answers.

        Args:
            context: unused; `load_context` has read it.
            model_input: the rows. A DataFrame's type hint is left out, since MLflow would warn of it.
            params: unused.

        Raises:
            MlflowException: `INVALID_PARAMETER_VALUE`, HTTP's 400, if something is wrong with the rows.
        """
        try:
            inputs = self.answering.inputs(model_input)
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        return self.answering.answer(inputs)


mlflow.models.set_model(Served())
