"""A web service in front of a deployed model: what a page sends is predicted, and answered as JSON.

It speaks to the model with Google's own client library. Settings are variables of the environment:

    SERVICE_KEY     a service account's key: the path of its file, or what is in it
    ML_ENDPOINT     where the server is, like http://127.0.0.1:8080; without it, Google's
    ML_MODEL        projects/PROJECT/models/MODEL or projects/PROJECT/models/MODEL/versions/VERSION
    ALLOWED_ORIGINS web sites whose pages may ask, with commas between; without it, all may
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_cors import CORS
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account
from googleapiclient import discovery
from googleapiclient.errors import HttpError


def key_of(setting: str) -> dict[str, Any]:
    """The key that a setting holds, or names."""
    text = setting if setting.lstrip().startswith("{") else Path(setting).read_text()
    return dict(json.loads(text))


def predictor(setting: str, endpoint: str) -> Any:
    """Google's client for the key's account."""
    credentials = service_account.Credentials.from_service_account_info(key_of(setting))
    options = {"api_endpoint": endpoint} if endpoint else None
    return discovery.build("ml", "v1", credentials=credentials, client_options=options).projects()


def create_app() -> Flask:
    """The service, as its settings want it."""
    app = Flask(__name__)
    CORS(app, origins=os.environ.get("ALLOWED_ORIGINS", "*").split(","))
    model = os.environ["ML_MODEL"]
    projects = predictor(os.environ["SERVICE_KEY"], os.environ.get("ML_ENDPOINT", ""))

    @app.get("/")
    def index() -> str:
        return f"Ask {model}: POST instances as JSON to /predict.\n"

    @app.post("/predict")
    def predict() -> tuple[Response, int]:
        asked = request.get_json(silent=True)
        instances = asked.get("data") if isinstance(asked, dict) else asked
        if not isinstance(instances, list):
            return jsonify(error='Send a list of instances, or {"data": [...]}.'), 400
        try:
            answer = projects.predict(name=model, body={"instances": instances}).execute()
        except HttpError as error:
            return jsonify(error=error.reason), error.status_code
        except GoogleAuthError as error:
            return jsonify(error=f"The service's own key is not taken: {error}"), 502
        if "error" in answer:
            return jsonify(error=answer["error"]), 400
        return jsonify(answer["predictions"]), 200

    return app
