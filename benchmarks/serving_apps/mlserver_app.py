"""MLServer with adaptive batching, Open Inference Protocol."""

import os

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse
from models import load

KIND = os.environ["BENCHMARK_KIND"]


class Model(MLModel):
    async def load(self) -> bool:
        self.model = load(KIND)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        if KIND == "titanic":
            answer = self.model._model.predict(PandasCodec.decode_request(payload))
        else:
            answer = self.model.predict(NumpyCodec.decode_input(payload.inputs[0]))
        output = NumpyCodec.encode_output("predictions", np.asarray(answer))
        return InferenceResponse(model_name=self.name, outputs=[output])
