"""The messages of models and versions, and of predictions."""

from __future__ import annotations

from collections.abc import Mapping

from mlengine.web.discovery.fields import Field, Fields, Values, output

_BODY = Field("HttpBody", "Stands for the whole body, which is the JSON of the prediction itself.")

MESSAGES: Mapping[str, Fields] = {
    "Model": {
        "defaultVersion": output("Version", "The version that answers when none is named."),
        "description": Field("string"),
        "etag": Field("bytes", "Changes with the model. Sent back in a patch, it must still be this one."),
        "labels": Field("map<string>", "Your own keys and values."),
        "name": Field("string", "Sent as a bare id, answered as projects/PROJECT/models/MODEL."),
        "onlinePredictionConsoleLogging": Field("boolean", "Whether what the model prints is logged."),
        "onlinePredictionLogging": Field("boolean", "Whether each prediction is logged."),
        "regions": Field("string[]", "Where the model shall live; one at most."),
    },
    "Version": {
        "acceleratorConfig": Field("AcceleratorConfig"),
        "autoScaling": Field("AutoScaling", "Not together with manualScaling."),
        "container": Field("ContainerSpec", "A container of your own that predicts."),
        "createTime": output("timestamp"),
        "deploymentUri": Field("string", "The gs:// folder of the trained model. It is copied."),
        "description": Field("string"),
        "errorMessage": output("string", "Why the version failed."),
        "etag": Field("bytes", "Changes with the version. Sent back in a patch, it must still be this one."),
        "explanationConfig": Field("ExplanationConfig", "How predictions are explained: one method."),
        "framework": Field("Framework", "Told from the files, if absent."),
        "isDefault": output("boolean", "Whether it answers when no version is named."),
        "labels": Field("map<string>", "Your own keys and values."),
        "lastMigrationModelId": output("string", "Where the version was last moved to."),
        "lastMigrationTime": output("timestamp", "When the version was last moved."),
        "lastUseTime": output("timestamp", "When the version last predicted."),
        "machineType": Field("string"),
        "manualScaling": Field("ManualScaling", "Not together with autoScaling."),
        "name": Field("string", "Sent as a bare id, answered as projects/…/models/…/versions/VERSION."),
        "packageUris": Field("string[]", "gs:// addresses of packages that the model needs."),
        "predictionClass": Field("string", "module.Class of your own code that predicts."),
        "pythonVersion": Field("string", "Such as 3.7. Goes with the runtime version."),
        "requestLoggingConfig": Field("RequestLoggingConfig", "Only changed by a patch."),
        "routes": Field("RouteMap", "The paths of your container."),
        "runtimeVersion": Field("string", "Which set of packages the model finds."),
        "serviceAccount": Field("string", "E-mail of the account that your code runs as."),
        "state": output("VersionState"),
    },
    "AutoScaling": {
        "maxNodes": Field("int32"),
        "metrics": Field("MetricSpec[]", "What decides on more or fewer nodes."),
        "minNodes": Field("int32"),
    },
    "ManualScaling": {
        "nodes": Field("int32"),
    },
    "MetricSpec": {
        "name": Field("MetricName"),
        "target": Field("int32", "In per cent."),
    },
    "ContainerSpec": {
        "args": Field("string[]", "In place of the image's CMD."),
        "command": Field("string[]", "In place of the image's ENTRYPOINT."),
        "env": Field("EnvVar[]"),
        "image": Field("string"),
        "ports": Field("ContainerPort[]", "Only the first counts; 8080 if absent."),
    },
    "ContainerPort": {
        "containerPort": Field("int32", "1 to 65535."),
    },
    "EnvVar": {
        "name": Field("string"),
        "value": Field("string"),
    },
    "RouteMap": {
        "health": Field("string", "Asked with GET whether the container is well."),
        "predict": Field("string", "Gets the body of each prediction."),
    },
    "ExplanationConfig": {
        "integratedGradientsAttribution": Field("IntegratedGradientsAttribution"),
        "sampledShapleyAttribution": Field("SampledShapleyAttribution"),
        "xraiAttribution": Field("XraiAttribution"),
    },
    "IntegratedGradientsAttribution": {
        "numIntegralSteps": Field("int32", "Steps of the integral: 1 to 10000; 50 if absent."),
    },
    "SampledShapleyAttribution": {
        "numPaths": Field("int32", "How many orders of the features are tried: 1 to 10000; 50 if absent."),
    },
    "XraiAttribution": {
        "numIntegralSteps": Field("int32", "50 is a good begin."),
    },
    "RequestLoggingConfig": {
        "bigqueryTableName": Field("string", "project.dataset.table, which must exist."),
        "samplingPercentage": Field("double", "The share of requests that is logged: 0 to 1."),
    },
    "SetDefaultVersionRequest": {},
    "ListModelsResponse": {
        "models": Field("Model[]"),
        "nextPageToken": Field("string", "Asks for the next page; absent on the last."),
    },
    "ListVersionsResponse": {
        "nextPageToken": Field("string", "Asks for the next page; absent on the last."),
        "versions": Field("Version[]"),
    },
    "PredictRequest": {"httpBody": _BODY},
    "ExplainRequest": {"httpBody": _BODY},
    "HttpBody": {
        "contentType": Field("string"),
        "data": Field("bytes"),
        "extensions": Field("map<any>[]"),
    },
}

ENUMS: Mapping[str, Values] = {
    "Framework": {
        "FRAMEWORK_UNSPECIFIED": "Told from the files.",
        "TENSORFLOW": "A SavedModel.",
        "SCIKIT_LEARN": "model.joblib or model.pkl.",
        "XGBOOST": "model.bst, or a pickled model.",
    },
    "VersionState": {
        "UNKNOWN": "Not said.",
        "READY": "Predicts.",
        "CREATING": "Is being set up; cannot be changed yet.",
        "FAILED": "Could not be set up; errorMessage says why.",
        "DELETING": "Is being taken away.",
        "UPDATING": "Is being changed.",
    },
    "MetricName": {
        "METRIC_NAME_UNSPECIFIED": "Not said.",
        "CPU_USAGE": "How busy processors are.",
        "GPU_DUTY_CYCLE": "How busy GPUs are.",
    },
}

OWN_FIELDS: Mapping[str, Fields] = {
    "Model": {
        "mlengine": output(
            "map<any>", "Beyond Google: which versions answer and get copies, and which did before."
        )
    },
    "Version": {
        "mlengine": Field(
            "map<any>",
            "Beyond Google. Yours: maxBatchSize, maxLatencyMs, unknownFields, missingFields, nonFinite, "
            "accelerate. The server's: framework, schema, acceleration, nodes, asleep, stage.",
        )
    },
}
OWN_VALUES: Mapping[str, Values] = {
    "Framework": {
        "LIGHTGBM": "A booster of LightGBM.",
        "KERAS": "A file that Keras saved.",
        "PYTORCH": "An exported program, or TorchScript.",
        "ONNX": "model.onnx.",
    },
}
