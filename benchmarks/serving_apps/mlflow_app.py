"""Writes the model as MLflow keeps models; `mlflow models serve` serves it."""

import os
import shutil
import sys

import mlflow.pyfunc

KIND = os.environ["BENCHMARK_KIND"]


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context) -> None:
        sys.path.insert(0, os.environ["BENCHMARK_APPS"])
        from models import load

        self.model = load(KIND)

    def predict(self, context, model_input, params=None):
        if KIND == "titanic":
            return self.model._model.predict(model_input)
        return self.model.predict(model_input)


if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    mlflow.pyfunc.save_model(sys.argv[1], python_model=Model())
