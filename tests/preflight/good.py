"""Trainers and lines that work, above all those that look as if they did not. None of them may be stopped."""

from __future__ import annotations

from tests.preflight.cases import PLACE, SETUP, TASK, Case, setup, task, wheel

# These run with no more than Python's own library: the slow tests run them for real.
PLAIN = (
    Case("the usual one"),
    Case("arguments", f"j1 {PLACE} -- --train-steps 3 --optimizer adam"),
    Case("arguments with equals signs", f"j1 {PLACE} -- --train-steps=3 --optimizer=adam"),
    Case("an abbreviated flag", f"j1 {PLACE} -- --train-st 3"),
    Case(
        "data that is there",
        f"j1 {PLACE} -- --train-files gs://bkt/data/train.csv --eval-files gs://bkt/data/",
    ),
    Case("globs that fit", f"j1 {PLACE} -- --train-files='gs://bkt/shards/*train*'"),
    Case("a bucket as the place of data", f"j1 {PLACE} -- --train-files gs://bkt"),
    Case("a prefix that the trainer completes", f"j1 {PLACE} -- --train-files gs://bkt/shards/train-"),
    Case(
        "a folder to be made",
        f"j1 {PLACE} -- --output-dir gs://bkt/new/export",
        task=TASK.replace("'--eval-files'", "'--output-dir'"),
    ),
    Case(
        "a blank as a value",
        f"j1 {PLACE} -- --separator ' ' --train-steps 1",
        task=TASK.replace("'--eval-files'", "'--separator'"),
    ),
    Case("an empty value in quotes", f"j1 {PLACE} -- --train-files ''"),
    Case("a negative number", f"j1 {PLACE} -- --train-steps -1"),
    Case(
        "arguments that are no flags",
        f"j1 {PLACE} -- a b",
        task=TASK.replace("'--eval-files'", "'eval', nargs='*'"),
    ),
    Case("no parser at all", f"j1 {PLACE} -- --anything goes", task="import sys\nprint(sys.argv)\n"),
    Case(
        "parse_known_args",
        f"j1 {PLACE} -- --whatever 3",
        task=TASK.replace("parse_args()", "parse_known_args()[0]"),
    ),
    Case(
        "two parsers in a row",
        f"j1 {PLACE} -- --train-steps 3 --depth 4",
        task="import argparse\na = argparse.ArgumentParser()\na.add_argument('--job-dir')\n"
        "a.add_argument('--train-steps', type=int)\nknown, rest = a.parse_known_args()\n"
        "b = argparse.ArgumentParser()\nb.add_argument('--depth', type=int)\nprint(b.parse_args(rest))\n",
    ),
    Case(
        "a parser given other words",
        f"j1 {PLACE} -- --anything goes",
        task="import argparse\np = argparse.ArgumentParser()\nprint(p.parse_args([]))\n",
    ),
    Case(
        "a parser with a type of its own",
        f"j1 {PLACE} -- --ratio 1:2",
        task="import argparse\np = argparse.ArgumentParser()\np.add_argument('--job-dir')\n"
        "p.add_argument('--ratio', type=lambda text: [int(n) for n in text.split(':')])\n"
        "print(p.parse_args())\n",
    ),
    Case(
        "subcommands",
        f"j1 {PLACE} -- fit --depth 3",
        task="import argparse\np = argparse.ArgumentParser()\np.add_argument('--job-dir')\n"
        "s = p.add_subparsers(dest='verb')\nf = s.add_parser('fit')\nf.add_argument('--depth')\n"
        "f.add_argument('--job-dir')\nprint(p.parse_args())\n",
    ),
    Case(
        "a parser that is a class of its own",
        f"j1 {PLACE} -- --train-steps 3",
        task=TASK.replace("argparse.ArgumentParser()", "Mine()").replace(
            "import argparse\n",
            "import argparse\nclass Mine(argparse.ArgumentParser):\n"
            "    def error(self, message):\n        raise SystemExit('mine: ' + message)\n",
        ),
    ),
    Case(
        "optional packages",
        task="try:\n    import no_such_framework\nexcept ImportError:\n    no_such_framework = None\n" + TASK,
    ),
    Case(
        "a library of either Python",
        task="try:\n    import urllib2\nexcept ImportError:\n    import urllib.request as urllib2\n" + TASK,
    ),
    Case(
        "names of either Python",
        task="try:\n    xrange\nexcept NameError:\n    xrange = range\n" + task("for i in xrange(3): pass"),
    ),
    Case(
        "an import for type checkers",
        task="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such_stubs\n" + TASK,
    ),
    Case(
        "an import behind a version check",
        task="import sys\nif sys.version_info[0] < 3:\n    import ConfigParser\n" + TASK,
    ),
    Case(
        "an import in a function that is not called", task="def plot():\n    import no_such_plotter\n" + TASK
    ),
    Case(
        "an import suppressed",
        task="import contextlib\nwith contextlib.suppress(ImportError):\n"
        "    import no_such_framework\n" + TASK,
    ),
    Case("Python 2 in a file that nobody imports", files={"trainer/old.py": "print 'old'\n"}),
    Case("a template that is no Python", files={"trainer/templates/model.py": "{{ name }} = {% x %}\n"}),
    Case(
        "own modules in all ways",
        task="import trainer.model\nfrom trainer import metadata\nfrom . import model as m\n"
        "from .model import x as y\nfrom trainer.inner import deep\n" + TASK,
        files={
            "trainer/model.py": "x = 1\n",
            "trainer/metadata.py": "",
            "trainer/inner/__init__.py": "",
            "trainer/inner/deep.py": "from .. import metadata\n",
        },
    ),
    Case(
        "a package that lifts names",
        task="from trainer import fit\n" + TASK,
        files={
            "trainer/__init__.py": "from trainer.model import *\n",
            "trainer/model.py": "def fit(): pass\n",
        },
    ),
    Case(
        "names that come at run time",
        task="from trainer.model import late\n" + TASK,
        files={"trainer/model.py": "globals()['late'] = 1\n"},
    ),
    Case(
        "a name bound in a branch",
        task="from trainer.model import x\n" + TASK,
        files={"trainer/model.py": "import sys\nif sys.argv:\n    x = 1\nelse:\n    x = 2\n"},
    ),
    Case(
        "a module path that the trainer changes",
        task="import os, sys\n"
        "sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))\nimport model\n" + TASK,
        files={"trainer/model.py": "x = 1\n"},
    ),
    Case(
        "files read and written before the parser",
        task="import os, tempfile\n"
        "open(os.path.join(tempfile.gettempdir(), 'mlengine-corpus-scratch'), 'w').write('x')\n"
        "open(__file__).read()\n" + TASK,
    ),
    Case(
        "variables of the service",
        task="import json, os\nprint(json.loads(os.environ['TF_CONFIG'])['task'])\n" + TASK,
    ),
    Case(
        "a package that can be run",
        f"j1 {PLACE.replace('trainer.task', 'trainer')}",
        files={"trainer/__main__.py": TASK},
    ),
    Case("another encoding, named", task="# -*- coding: cp949 -*-\n# 학습\n".encode("cp949") + TASK.encode()),
    Case("Korean in UTF-8 with a mark", task="\ufeff# 학습\n" + TASK),
)

# These need a runtime, a server or a package of their own.
OTHERS = (
    Case(
        "numbers and frames", task="import numpy as np\nimport pandas as pd\nfrom sklearn import svm\n" + TASK
    ),
    Case(
        "TensorFlow and Keras",
        f"j1 {PLACE} -- --train-steps 3",
        task="import tensorflow as tf\nfrom tensorflow import keras\n\n"
        "class Net(tf.keras.Model):\n    pass\n\n@tf.function\ndef step(x):\n    return x\n" + TASK,
    ),
    Case(
        "choices that come of a package",
        f"j1 {PLACE} -- --optimizer adam",
        task="import sklearn.svm as svm\n"
        + TASK.replace("['sgd', 'adam']", "[n for n in svm.NAMES] or ['adam']"),
    ),
    Case(
        "a parser that a package fills",
        f"j1 {PLACE} -- --gpus 1",
        task="import tensorflow as tf\n" + TASK.replace("    args =", "    tf.add_flags(parser)\n    args ="),
    ),
    Case(
        "Google's storage library",
        task="from google.cloud import storage\nimport google.cloud.storage\n" + TASK,
    ),
    Case(
        "a client library of Google's, required",
        task="from google.cloud import bigquery\n" + TASK,
        files={"setup.py": setup("install_requires=['google-cloud-bigquery']")},
    ),
    Case(
        "a trainer that installs packages itself",
        task="import subprocess, sys\n\ndef install():\n    subprocess.check_call([sys.executable, '-m', "
        "'pip', 'install', 'no_such_framework'])\ninstall()\nimport no_such_framework\n" + TASK,
    ),
    Case(
        "a module that a requirement brings",
        f"j1 {PLACE.replace('trainer.task', 'official.task')}",
        files={"setup.py": setup("install_requires=['tf-models-official']")},
    ),
    Case("a module of Python's own", f"j1 {PLACE.replace('trainer.task', 'timeit')}"),
    Case(
        "a requirement of its own",
        task="import dep_of_mine\n" + TASK,
        files={"setup.py": setup("install_requires=['dep-of-mine']")},
    ),
    Case(
        "what a requirement may bring",
        task="import werkzeug\n" + TASK,
        files={"setup.py": setup("install_requires=['flask']")},
    ),
    Case(
        "a requirement whose module is called otherwise",
        task="import cv2\n" + TASK,
        files={"setup.py": setup("install_requires=['opencv-python']")},
    ),
    Case(
        "requirements that the runtime meets",
        files={"setup.py": setup("install_requires=['numpy>=1.16', 'pandas', 'scikit-learn>0.19', 'six']")},
    ),
    Case(
        "a requirement that gets an environment of its own",
        files={"setup.py": setup("install_requires=['scikit-learn>=1.4,<1.5']")},
    ),
    Case(
        "a requirement for another Python",
        files={"setup.py": setup("install_requires=['numpy==1.16.4; python_version < \"3\"']")},
    ),
    Case(
        "a module in --packages",
        f"j1 {PLACE} --packages dep-0.1-py3-none-any.whl",
        task="import dep\n" + TASK,
        files={"dep-0.1-py3-none-any.whl": wheel()},
    ),
    Case(
        "a package in a bucket, with what it holds",
        f"j1 {PLACE} --packages gs://bkt/packages/dep-0.1.tar.gz",
        task="import dep\n" + TASK,
    ),
    Case("a setup.py that leaves out the version", files={"setup.py": SETUP.replace("version='0.1', ", "")}),
    Case(
        "a source folder",
        "j1 --module-name trainer.task --package-path src/trainer --job-dir gs://bkt/out",
        files={
            "setup.py": "",
            "src/setup.py": SETUP,
            "src/trainer/__init__.py": "",
            "src/trainer/task.py": TASK,
        },
    ),
    Case(
        "a staging bucket and no job-dir",
        "j1 --module-name trainer.task --package-path trainer --staging-bucket gs://stage",
    ),
    Case(
        "a job-dir that is a bucket, and meant",
        "j1 --module-name trainer.task --package-path trainer --job-dir gs://bkt",
    ),
    Case(
        "the post's config.yaml",
        f"j1 {PLACE} --config trainer/config.yaml --runtime-version 1.8",
        files={
            "trainer/config.yaml": "trainingInput:\n  pythonVersion: '3.5'\n  scaleTier: CUSTOM\n"
            "  masterType: standard_p100\n  workerType: standard_p100\n  parameterServerType: large_model\n"
            "  workerCount: 0\n  parameterServerCount: 0\n"
        },
    ),
    Case("an old runtime with its old Python", f"j1 {PLACE} --runtime-version 1.15 --python-version 3.7"),
    Case("a machine of Compute Engine", f"j1 {PLACE} --scale-tier custom --master-machine-type n1-highmem-8"),
    Case(
        "a setting in the old spelling",
        f"j1 {PLACE} --config c.yaml",
        files={"c.yaml": "training_input: {}\ntrainingInput:\n  scale_tier: BASIC\n"},
    ),
)

GOOD = (*PLAIN, *OTHERS)
