"""The messages of operations, locations and policies, and of what jobs and models share."""

from __future__ import annotations

from collections.abc import Mapping

from mlengine.web.discovery.fields import Field, Fields, Values

MESSAGES: Mapping[str, Fields] = {
    "AcceleratorConfig": {
        "count": Field("int64", "How many per machine."),
        "type": Field("AcceleratorType"),
    },
    "Operation": {
        "done": Field("boolean", "If true, there is an error or a response."),
        "error": Field("Status", "Why it failed, or that it was cancelled."),
        "metadata": Field("map<any>", "An OperationMetadata with its @type."),
        "name": Field("string", "projects/PROJECT/operations/OPERATION."),
        "response": Field("map<any>", "The resource as it is now, or google.protobuf.Empty."),
    },
    "OperationMetadata": {
        "createTime": Field("timestamp", "When it was asked for."),
        "endTime": Field("timestamp", "When it ended."),
        "isCancellationRequested": Field("boolean"),
        "labels": Field("map<string>", "Those of the model or version."),
        "modelName": Field("string", "Full name of the model."),
        "operationType": Field("OperationType"),
        "projectNumber": Field("int64"),
        "startTime": Field("timestamp", "When work began."),
        "version": Field("Version", "What it makes or changes."),
    },
    "ListOperationsResponse": {
        "nextPageToken": Field("string", "Asks for the next page; absent on the last."),
        "operations": Field("Operation[]"),
        "unreachable": Field("string[]", "Places that could not be asked."),
    },
    "Status": {
        "code": Field("int32", "A number of google.rpc.Code; no status of HTTP."),
        "details": Field("map<any>[]"),
        "message": Field("string", "What, where, why, and what to do next."),
    },
    "Empty": {},
    "GetConfigResponse": {
        "config": Field("Config"),
        "serviceAccount": Field("string", "E-mail of the account that must be able to read your buckets."),
        "serviceAccountProject": Field("int64", "Number of that account's project."),
    },
    "Config": {
        "tpuServiceAccount": Field("string"),
    },
    "Location": {
        "capabilities": Field("Capability[]"),
        "name": Field("string", "projects/PROJECT/locations/LOCATION."),
    },
    "Capability": {
        "availableAccelerators": Field("AcceleratorType[]"),
        "type": Field("CapabilityType"),
    },
    "ListLocationsResponse": {
        "locations": Field("Location[]"),
        "nextPageToken": Field("string", "Asks for the next page; absent on the last."),
    },
    "Policy": {
        "auditConfigs": Field("AuditConfig[]"),
        "bindings": Field("Binding[]", "Who has which role."),
        "etag": Field("bytes", "Changes with the policy. Sent back, it must still be this one."),
        "version": Field("int32", "0, 1 or 3; conditions need 3."),
    },
    "Binding": {
        "condition": Field("Expr", "When the binding counts."),
        "members": Field("string[]", "Such as user:ann@example.com, serviceAccount:… or allUsers."),
        "role": Field("string", "Such as roles/ml.developer."),
    },
    "AuditConfig": {
        "auditLogConfigs": Field("AuditLogConfig[]"),
        "service": Field("string", "A service, or allServices."),
    },
    "AuditLogConfig": {
        "exemptedMembers": Field("string[]", "Who is not logged."),
        "logType": Field("LogType"),
    },
    "SetIamPolicyRequest": {
        "policy": Field("Policy", "The whole new policy."),
        "updateMask": Field("fieldmask", "bindings and etag, if absent."),
    },
    "TestIamPermissionsRequest": {
        "permissions": Field("string[]", "What is asked for, without wildcards."),
    },
    "TestIamPermissionsResponse": {
        "permissions": Field("string[]", "Those of them that the caller has."),
    },
    "Expr": {
        "description": Field("string"),
        "expression": Field("string", "In the Common Expression Language."),
        "location": Field("string", "Where the expression is from, for messages."),
        "title": Field("string"),
    },
}

ENUMS: Mapping[str, Values] = {
    "AcceleratorType": {
        "ACCELERATOR_TYPE_UNSPECIFIED": "None.",
        "NVIDIA_TESLA_K80": "NVIDIA K80.",
        "NVIDIA_TESLA_P100": "NVIDIA P100.",
        "NVIDIA_TESLA_V100": "NVIDIA V100.",
        "NVIDIA_TESLA_P4": "NVIDIA P4.",
        "NVIDIA_TESLA_T4": "NVIDIA T4.",
        "NVIDIA_TESLA_A100": "NVIDIA A100.",
        "TPU_V2": "TPU v2.",
        "TPU_V3": "TPU v3.",
        "TPU_V2_POD": "A pod of TPU v2.",
        "TPU_V3_POD": "A pod of TPU v3.",
        "TPU_V4_POD": "A pod of TPU v4.",
    },
    "CapabilityType": {
        "TYPE_UNSPECIFIED": "Not said.",
        "TRAINING": "Training jobs.",
        "BATCH_PREDICTION": "Batch prediction jobs.",
        "ONLINE_PREDICTION": "Models that answer at once.",
    },
    "OperationType": {
        "OPERATION_TYPE_UNSPECIFIED": "Not said.",
        "CREATE_VERSION": "Sets a version up.",
        "DELETE_VERSION": "Takes a version away.",
        "DELETE_MODEL": "Takes a model away.",
        "UPDATE_MODEL": "Changes a model.",
        "UPDATE_VERSION": "Changes a version.",
        "UPDATE_CONFIG": "Changes the configuration of the project.",
    },
    "LogType": {
        "LOG_TYPE_UNSPECIFIED": "Not said.",
        "ADMIN_READ": "Reading of configuration.",
        "DATA_WRITE": "Writing of data.",
        "DATA_READ": "Reading of data.",
    },
}
