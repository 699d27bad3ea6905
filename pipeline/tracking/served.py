"""The model that MLflow serves. MLflow runs this file to load one, as "models from code"."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from pipeline.runs.models import classify, load_model


class Classifier(PythonModel):
    """Tells of each image the most probable class and the probability of every class."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network and the names of its classes."""
        self.model = load_model(Path(context.artifacts["model"]))
        dataset = json.loads(Path(context.artifacts["dataset"]).read_text(encoding="utf-8"))
        self.classes: list[str] = dataset["classes"]
        self.image_shape: tuple[int, ...] = tuple(dataset["image_shape"])

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Classify images.

        Args:
            context: unused; `load_context` has read it.
            model_input: numbers in [0, 1], as an array of shape (n, d) or (n, height, width), or as a pandas
                table with a row an image and d columns in their order, at whose type hint MLflow would warn.
                One image alone, (d,) or (height, width), is a batch of one.
            params: unused.

        Returns:
            A row an image: `label`, the class's name, and `probabilities`, by class.

        Raises:
            MlflowException: `INVALID_PARAMETER_VALUE`, HTTP's 400, if the input is anything else.
        """
        found, probabilities = classify(self.model, self._images(model_input))
        return pd.DataFrame(
            {
                "label": [self.classes[i] for i in found],
                "probabilities": [
                    dict(zip(self.classes, map(float, row), strict=True)) for row in probabilities
                ],
            }
        )

    def _images(self, given: np.ndarray | pd.DataFrame) -> np.ndarray:
        """Return the images as rows, shape (n, d), float32."""
        size = int(np.prod(self.image_shape))
        right = f"numbers in [0, 1] of shape (n, {size}) or {('n', *self.image_shape)}".replace("'", "")

        def refusal(reason: str) -> MlflowException:
            return MlflowException.invalid_parameter_value(f"{reason}; expected {right}")

        if isinstance(given, pd.DataFrame):
            given = given.to_numpy()
        try:
            images = np.asarray(given.tolist() if isinstance(given, np.ndarray) else given)
        except ValueError:  # rows of unequal length
            raise refusal("not an array") from None
        if images.dtype.kind not in "iuf":
            raise refusal(f"dtype {images.dtype}")
        flat = images.ndim in {1, 2} and images.shape[-1] == size
        square = images.ndim in {2, 3} and images.shape[-2:] == self.image_shape
        if not (flat or square):
            raise refusal(f"shape {images.shape}")
        if not ((images >= 0) & (images <= 1)).all():
            raise refusal("values outside [0, 1] or NaN")
        return images.reshape(-1, size).astype(np.float32)


mlflow.models.set_model(Classifier())
