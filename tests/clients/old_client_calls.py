"""What a script of 2017 did, run by the Python of an old client: not imported by any test.

Arguments: the address of the discovery document, a model, and the file of a service account's key.
"""

import json
import pathlib
import sys

from googleapiclient import discovery, errors

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


def credentials_of(key_file):
    """As each library of its time did it: oauth2client before google-auth."""
    try:
        from oauth2client.service_account import ServiceAccountCredentials
    except ImportError:
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_file(key_file, scopes=SCOPES)
    key = json.loads(pathlib.Path(key_file).read_text())
    # The only way by which oauth2client looks at the key's own token_uri.
    return ServiceAccountCredentials.from_json_keyfile_dict(key, SCOPES, token_uri=key["token_uri"])


def main(url, model, key_file):
    service = discovery.build(
        "ml",
        "v1",
        credentials=credentials_of(key_file),
        discoveryServiceUrl=url,
        cache_discovery=False,
    )
    projects = service.projects()
    models = projects.models()
    made = models.create(parent="projects/local", body={"name": model, "regions": ["us-central1"]}).execute()
    listed = models.list(parent="projects/local").execute()
    jobs = projects.jobs().list(parent="projects/local", pageSize=5).execute()
    try:
        projects.predict(name=made["name"], body={"instances": [1]}).execute()
        refused = {}
    except errors.HttpError as error:
        refused = json.loads(error.content.decode())["error"]
    operation = models.delete(name=made["name"]).execute()
    json.dump(
        {
            "made": made["name"],
            "listed": [one["name"] for one in listed["models"]],
            "jobs": jobs.get("jobs", []),
            "refused": refused,
            "operation": operation["name"],
        },
        sys.stdout,
    )


main(*sys.argv[1:])
