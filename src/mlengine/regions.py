"""The names of regions. Alone, because the command line needs them at its start and nothing more."""

# Google's, so that scripts that name one go on. Everything runs on this machine, whichever is named.
REGIONS = (
    "asia-east1",
    "asia-northeast1",
    "asia-southeast1",
    "australia-southeast1",
    "europe-west1",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "northamerica-northeast1",
    "us-central1",
    "us-east1",
    "us-east4",
    "us-west1",
)
