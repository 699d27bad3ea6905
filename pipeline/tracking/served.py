"""The model as MLflow serves it: the file that it runs to load one (models from code)."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from pipeline.models import load_model
from pipeline.nn.fast import predict, probabilities


class Classifier(PythonModel):
    """Images in, and for each the most probable class and every class's probability out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network and the names of its classes."""
        self.mlp = load_model(Path(context.artifacts["model"]))
        dataset = json.loads(Path(context.artifacts["dataset"]).read_text(encoding="utf-8"))
        self.classes: list[str] = dataset["classes"]
        self.image_shape: tuple[int, ...] = tuple(dataset["image_shape"])

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Classify images.

        Args:
            context: unused; `load_context` has read it.
            model_input: numbers in [0, 1] of shape (n, d) or (n, height, width); one image alone,
                (d,) or (height, width), is a batch of one.
            params: unused.

        Returns:
            A row an image: `label`, the class's name, and `probabilities`, by class.

        Raises:
            MlflowException: `INVALID_PARAMETER_VALUE`, HTTP's 400, if the input is anything else.
        """
        outputs = predict(self.mlp, self._images(model_input))
        if outputs.shape[1] == 1:  # the probability of the second of two classes
            outputs = np.hstack([1 - outputs, outputs])
        chances = probabilities(
            self.mlp, outputs
        )  # of equal ones the outputs still tell which is the largest
        return pd.DataFrame(
            {
                "label": [self.classes[i] for i in outputs.argmax(axis=1)],
                "probabilities": [dict(zip(self.classes, map(float, row), strict=True)) for row in chances],
            }
        )

    def _images(self, given: np.ndarray) -> np.ndarray:
        """Return the images as rows, shape (n, d), float32."""
        size = int(np.prod(self.image_shape))
        right = f"numbers in [0, 1] of shape (n, {size}) or {('n', *self.image_shape)}".replace("'", "")
        try:
            images = np.asarray(given.tolist() if given.dtype == np.dtype(object) else given)
        except ValueError:  # rows of unequal length
            raise MlflowException.invalid_parameter_value(f"not an array; expected {right}") from None
        if images.dtype.kind not in "iuf":
            raise MlflowException.invalid_parameter_value(f"dtype {images.dtype}; expected {right}")
        flat = images.ndim in {1, 2} and images.shape[-1] == size
        square = images.ndim in {2, 3} and images.shape[-2:] == self.image_shape
        if not (flat or square):
            raise MlflowException.invalid_parameter_value(f"shape {images.shape}; expected {right}")
        if not ((images >= 0) & (images <= 1)).all():
            raise MlflowException.invalid_parameter_value(f"values outside [0, 1] or NaN; expected {right}")
        return images.reshape(-1, size).astype(np.float32)


mlflow.models.set_model(Classifier())
