"""FastAPI written by hand, as fast as one gets it: orjson both ways, no validation by pydantic."""

import os

import orjson
from fastapi import FastAPI, Request, Response
from models import load

KIND = os.environ["BENCHMARK_KIND"]
model = load(KIND)
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    rows = orjson.loads(await request.body())["instances"]
    answer = orjson.dumps({"predictions": model.predict(rows)}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(answer, media_type="application/json")
