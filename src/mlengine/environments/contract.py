"""The variables a trainer finds in its environment: the contract of the service. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mlengine.environments.catalogue import legacy
from mlengine.environments.proxies import LOOPBACK_HOSTS, PROXY_VARIABLES, no_proxy, proxies_of_job

# What belongs to the machine and not to whoever started the server on it. Everything else stays out of jobs:
# above all credentials, which Google's libraries would find and send to our storage.
_MACHINE = {
    *("PATH", "LANG", "TZ", "USER", "LOGNAME", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *PROXY_VARIABLES,
    *("no_proxy", "NO_PROXY"),
}
_MACHINE_PREFIXES = ("LC_", "CUDA_", "NVIDIA_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a job needs for clients that cannot be told of another server: a proxy, and whom to trust.

    Args:
        token: The job's own; by it the proxy knows the job.
        roots: File of the authorities to trust, ours among them.
        boto_config: gsutil's settings.
        key_file: A service account's key, for Google's libraries; None for none.
        required: Whether the server answers nobody without the token.
    """

    token: str
    roots: Path
    boto_config: Path
    key_file: Path | None = None
    required: bool = False


def trainer_environment(
    *,
    job_id: str,
    training_input: Mapping[str, Any],
    project: str,
    storage_endpoint: str,
    home: Path,
    temporary: Path,
    runtime_version: str = "",
    task_type: str = "",
    task_index: int = 0,
    trial_id: str = "",
    cluster: Mapping[str, Sequence[str]] | None = None,
    machine: Mapping[str, str] | None = None,
    access: Access | None = None,
) -> dict[str, str]:
    """The whole environment of one replica.

    Args:
        job_id: The job's id.
        training_input: What was submitted, with names in snake_case.
        project: The project's id.
        storage_endpoint: Our server as the job reaches it: "http://127.0.0.1:8080".
        home: The job's own home folder. Not the user's: Google credentials may lie there.
        temporary: The job's own folder for temporary files.
        runtime_version: As requested, for the first replica is "master" in old ones and "chief" since 2.1.
        task_type: "" for the first replica, or "worker", "ps", "evaluator".
        task_index: Its number among those of its type, from 0.
        trial_id: The tuning trial it belongs to; "" outside tuning.
        cluster: Addresses ("host:port") by task type. None for a job of one replica.
        machine: The server's own environment, of which only what describes the machine is taken.
        access: What clients need that insist on https; None where the server has none.
    """
    env = program_environment(
        project=project,
        storage_endpoint=storage_endpoint,
        home=home,
        temporary=temporary,
        runtime_version=runtime_version,
        hosts=_hosts(cluster or {}),
        machine=machine,
        access=access,
    )
    env |= {
        "TF_CONFIG": json.dumps(
            _tf_config(
                job_id=job_id,
                training_input=training_input,
                first=first_task_type(runtime_version),
                task_type=task_type,
                task_index=task_index,
                trial_id=trial_id,
                cluster=cluster,
            )
        ),
        "CLUSTER_SPEC": json.dumps(
            _cluster_spec(
                training_input,
                first=first_task_type(runtime_version),
                task_type=task_type,
                task_index=task_index,
                trial_id=trial_id,
                cluster=cluster,
            )
        ),
        "CLOUD_ML_JOB": json.dumps(training_input),
        "CLOUD_ML_JOB_ID": job_id,
    }
    if cluster:
        env |= torch_variables(cluster, task_type, task_index, first=first_task_type(runtime_version))
    if trial_id:
        env["CLOUD_ML_TRIAL_ID"] = trial_id
    return env


def program_environment(
    *,
    project: str,
    storage_endpoint: str,
    home: Path,
    temporary: Path,
    runtime_version: str = "",
    hosts: Sequence[str] = (),
    machine: Mapping[str, str] | None = None,
    access: Access | None = None,
) -> dict[str, str]:
    """What any program in a runtime gets, a trainer or another, so that `gs://` means our storage.

    Args:
        project: The project's id.
        storage_endpoint: Our server as the program reaches it: "http://127.0.0.1:8080".
        home: Its own home folder.
        temporary: Its own folder for temporary files.
        runtime_version: As requested.
        hosts: That it reaches without any proxy, besides our server.
        machine: The server's own environment, of which only what describes the machine is taken.
        access: What clients need that insist on https; None where the server has none.
    """
    env = machine_variables(machine or {})
    straight = (urlsplit(storage_endpoint).hostname or "", *LOOPBACK_HOSTS, *hosts)
    if access:
        for name in PROXY_VARIABLES:
            env.pop(name, None)
        env |= _access_variables(access, storage_endpoint, machine=machine or {}, straight=straight)
    elif any(env.get(name) for name in PROXY_VARIABLES):
        env["no_proxy"] = env["NO_PROXY"] = ",".join(
            dict.fromkeys(filter(None, [*no_proxy(env).split(","), *straight]))
        )
    env |= {"HOME": str(home), "TMPDIR": str(temporary)}
    env |= framework_variables(runtime_version)
    token = access.token if access and access.required else ""
    return env | storage_variables(storage_endpoint, project=project, token=token)


def launcher_environment(machine: Mapping[str, str]) -> dict[str, str]:
    """The environment of the launcher, which runs uv and the builds of packages before the trainer.

    Args:
        machine: The server's environment: what describes the machine is taken, and what sets uv and pip.
    """
    wanted = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NETRC")
    tools = {
        name: text for name, text in machine.items() if name in wanted or name.startswith(("UV_", "PIP_"))
    }
    return machine_variables(machine) | tools


def machine_variables(own: Mapping[str, str]) -> dict[str, str]:
    """Those variables of `own` that describe the machine; PATH and LANG get sane values if there are none."""
    kept = {name: own[name] for name in own if name in _MACHINE or name.startswith(_MACHINE_PREFIXES)}
    # Without a locale that knows UTF-8, a trainer that prints an accent dies.
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"} | kept


def framework_variables(runtime_version: str) -> dict[str, str]:
    """What makes frameworks behave as a trainer expects.

    Args:
        runtime_version: As requested. Trainers for Google's 2.x were written for Keras 2.
    """
    old = legacy(runtime_version)
    variables = {
        "OMP_WAIT_POLICY": "PASSIVE"
    }  # idle OpenMP threads that spin make a busy machine many times slower
    return variables | ({"TF_USE_LEGACY_KERAS": "1"} if old and old.has_keras_2 else {})


def storage_variables(endpoint: str, *, project: str, token: str = "") -> dict[str, str]:
    """What makes `gs://` in google-cloud-storage, gcsfs, fsspec, pandas and PyArrow mean our storage.

    Args:
        endpoint: Our server as the job reaches it: "http://127.0.0.1:8080".
        project: The project's id.
        token: What a server needs that answers nobody without one; "" for none.
    """
    found = {
        "STORAGE_EMULATOR_HOST": endpoint,  # google-cloud-storage and gcsfs; both then go without credentials
        "CLOUD_STORAGE_EMULATOR_ENDPOINT": endpoint,  # PyArrow
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # else gcsfs asks Google for each bucket's type
        "BIGQUERY_EMULATOR_HOST": endpoint,  # google-cloud-bigquery and pandas-gbq; they show the key file
        "MLENGINE_ENDPOINT": endpoint,
        "MLENGINE_PROJECT": project,
        "GOOGLE_CLOUD_PROJECT": project,
        "NO_GCE_CHECK": "true",  # else gcsfs seeks a metadata server: 12 s where packets vanish
    }
    return found | _token_in_url(endpoint, token) if token else found


def _token_in_url(endpoint: str, token: str) -> dict[str, str]:
    """For clients that look for no key where `STORAGE_EMULATOR_HOST` is set: they send what it holds."""
    return {
        "STORAGE_EMULATOR_HOST": endpoint.replace("://", f"://job:{quote(token)}@", 1),
        # gcsfs would find the key file, too, and refuse to send both.
        "FSSPEC_GS_TOKEN": "anon",
        "FSSPEC_GCS_TOKEN": "anon",
    }


def gsutil_settings(
    *, host: str, tls_port: int, roots: Path, project: str, state: Path, key_file: Path | None = None
) -> str:
    """gsutil's file of settings, by which `gs://` means our storage.

    Args:
        host: Name or address of our server.
        tls_port: Its port for https: gsutil speaks nothing else.
        roots: File of the authorities to trust.
        project: The project's id.
        state: A folder in which gsutil keeps what it knows of unfinished transfers.
        key_file: A key to show; None to say nothing about who is asking.
    """
    identity = (
        "[OAuth2]\n"
        # Its library has Google's address compiled in, whatever the key says.
        f"provider_token_uri = https://{host}:{tls_port}/token\n"
        "token_cache = in_memory\n"
    )
    return (
        "[Credentials]\n"
        f"gs_json_host = {host}\n"
        f"gs_json_port = {tls_port}\n"
        f"gs_host = {host}\n"
        f"gs_port = {tls_port}\n"
        + (f"gs_service_key_file = {key_file}\n{identity}" if key_file else "")
        + "[Boto]\n"
        f"ca_certificates_file = {roots}\n"
        "[GSUtil]\n"
        "prefer_api = json\n"
        f"default_project_id = {project}\n"
        f"state_dir = {state}\n"
        "check_hashes = always\n"
    )


def _access_variables(
    access: Access, endpoint: str, *, machine: Mapping[str, str], straight: tuple[str, ...]
) -> dict[str, str]:
    """What makes `gs://` in TensorFlow and gsutil mean our storage: they take no other address."""
    proxy = f"http://job:{quote(access.token)}@{urlsplit(endpoint).netloc}"
    return proxies_of_job(machine, proxy=proxy, straight=straight) | {
        # libcurl in TensorFlow; requests; OpenSSL in Python, Go and Rust; httplib2
        **dict.fromkeys(
            ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS"), str(access.roots)
        ),
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": access.token,  # else TensorFlow seeks a metadata server
        "BOTO_CONFIG": str(access.boto_config),
        **({"GOOGLE_APPLICATION_CREDENTIALS": str(access.key_file)} if access.key_file else {}),
    }


def _hosts(cluster: Mapping[str, Sequence[str]]) -> list[str]:
    """The hosts of a cluster; the processes of a job talk to each other without any proxy."""
    return [address.rpartition(":")[0].strip("[]") for addresses in cluster.values() for address in addresses]


def first_task_type(runtime_version: str) -> str:
    """What TF_CONFIG calls the first replica: "master" up to Google's 1.15, "chief" since.

    Args:
        runtime_version: As requested.
    """
    old = legacy(runtime_version)
    return "master" if old and old.is_first_generation else "chief"


def _tf_config(
    *,
    job_id: str,
    training_input: Mapping[str, Any],
    first: str,
    task_type: str,
    task_index: int,
    trial_id: str,
    cluster: Mapping[str, Sequence[str]] | None,
) -> dict[str, Any]:
    # Jobs of one replica have a cluster too. Nobody listens there: TensorFlow only counts the entries.
    members = cluster if cluster is not None else {first: ["127.0.0.1:2222"]}
    task: dict[str, Any] = {"type": task_type or first, "index": task_index, "cloud": f"{job_id}-ml"}
    if trial_id:
        task["trial"] = trial_id
    return {
        "cluster": {name: list(addresses) for name, addresses in members.items() if name != "evaluator"},
        "task": task,
        "job": dict(training_input),
        "environment": "cloud",
    }


def _cluster_spec(
    training_input: Mapping[str, Any],
    *,
    first: str,
    task_type: str,
    task_index: int,
    trial_id: str,
    cluster: Mapping[str, Sequence[str]] | None,
) -> dict[str, Any]:
    """What TF_CONFIG says, in another place: the trial is always there, and the job is text."""
    members = cluster if cluster is not None else {first: ["127.0.0.1:2222"]}
    return {
        "cluster": {name: list(addresses) for name, addresses in members.items() if name != "evaluator"},
        "task": {"type": task_type or first, "index": task_index, "trial": trial_id},
        "environment": "cloud",
        "job": json.dumps(training_input),
    }


def torch_variables(
    cluster: Mapping[str, Sequence[str]], task_type: str, task_index: int, *, first: str
) -> dict[str, str]:
    """As `torchrun` with one process a replica: the first is rank 0, workers follow, others have none."""
    if task_type not in ("", first, "worker"):
        return {}
    address, _, port = cluster[first][0].rpartition(":")
    rank = 1 + task_index if task_type == "worker" else 0
    return {
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
        "RANK": str(rank),
        "GROUP_RANK": str(rank),
        "WORLD_SIZE": str(1 + len(cluster.get("worker", ()))),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
    }
