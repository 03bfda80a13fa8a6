"""Trainers and lines that cannot work, each with the finding that must say so."""

from __future__ import annotations

from tests.preflight.cases import PLACE, SETUP, TASK, USED, Case, setup, task, wheel

# The slips of the five posts. The first stands there byte for byte; the third needs `set -u` to be noticed.
POSTS = (
    Case(
        "the post's flag that its own parser does not know (seed 003)",
        f"j1 {PLACE} -- --checkpoint=checkpoints",
        "argument-rejected",
        task=(
            "import argparse\nimport os\nimport numpy as np\nimport tensorflow as tf\n"
            "import keras.backend as K\n\n"
            "parser = argparse.ArgumentParser()\n"
            "parser.add_argument('--job-dir', default='checkpoints', help='local directory path')\n"
            "parser.add_argument('--train-file', default='mnist', help='folder')\n"
            "parser = parser.parse_args()\n\n"
            "def main(parser):\n    np.random.seed(0)\n    sess = tf.Session()\n    K.set_session(sess)\n\n"
            "if __name__ == '__main__':\n    main(parser)\n"
        ),
    ),
    Case(
        "a job-dir that is the bucket's root, for a variable was never set (seed 003)",
        "j1 --module-name trainer.task --package-path trainer --job-dir gs://bkt/",
        "job-dir-bucket-root",
    ),
    Case(
        "a job-dir without a bucket, for the variable of the bucket was never set",
        "j1 --module-name trainer.task --package-path trainer --job-dir gs:///out",
        "job-dir-no-bucket",
    ),
    Case("blanks behind a backslash (seed 004)", "j1 --module-name trainer.task '    '", "blank-argument"),
    Case(
        "print of Python 2 (seed 004)",
        f"j1 {PLACE.replace('task', 'oops')}",
        "python2",
        files={
            "trainer/oops.py": "import tensorflow as tf \n\n"
            "if __name__ == '__main__': \n  print tf.__version__\n"
        },
    ),
    Case(
        "a package path that is no package",
        "j1 --module-name trainer.task --package-path . --job-dir gs://bkt/out",
        "no-package",
    ),
    Case(
        "a module that the package does not hold: train.py here, task.py there (seed 003)",
        f"j1 {PLACE}",
        "no-module",
        files={"trainer/task.py": None, "trainer/train.py": TASK},
    ),
    Case("a GPU tier where there is no GPU", f"j1 {PLACE} --scale-tier basic-gpu", "no-accelerator"),
    Case(
        "Python 3.5 on a runtime that had only 2.7 (seed 003)",
        f"j1 {PLACE} --config trainer/config.yaml --runtime-version 1.2",
        "runtime-python",
        files={"trainer/config.yaml": 'trainingInput:\n  pythonVersion: "3.5"\n'},
    ),
    Case("a job id used before (seed 004)", f"{USED} {PLACE}", "duplicate-job"),
    Case(
        "an import by the name of another package than the one that is packed (seed 003)",
        code="missing-import",
        task="from mnist_clf.dataset import load_mnist\n" + TASK,
        files={"setup.py": setup("install_requires=['keras', 'h5py', 'six']"), "trainer/dataset.py": ""},
    ),
)

LINES = (
    Case("a lone backslash", f"j1 {PLACE} -- --train-steps 3 '\\'", "stray-backslash"),
    Case("a backslash and a blank in one word", f"j1 {PLACE} -- --train-steps 3 '\\ '", "stray-backslash"),
    Case("a blank argument at the end", f"j1 {PLACE} -- --train-steps 3 ' '", "blank-argument"),
    Case("a script with Windows line ends", f"j1 {PLACE} -- --train-steps '3\r'", "carriage-return"),
    Case("a dash made long by a word processor", f"j1 {PLACE} -- –train-steps 3", "typographic-dash"),
    Case(
        "a variable in single quotes", f"j1 {PLACE} -- --train-files 'gs://$BUCKET/x'", "unexpanded-variable"
    ),
    Case(
        "a variable in a config file",
        f"j1 {PLACE} --config c.yaml",
        "unexpanded-variable",
        files={"c.yaml": "trainingInput:\n  args: ['--train-files=gs://${BUCKET}/data']\n"},
    ),
    Case("a flag whose variable is unset", f"j1 {PLACE} -- --train-files=", "empty-value", warned=True),
    Case("curly quotes", f"j1 {PLACE} -- --train-files “a.csv”", "typographic-quote", warned=True),
    Case("a job id with hyphens", f"my-job {PLACE}", "job-id"),
    Case("a job id that begins with a digit", f"2018_job {PLACE}", "job-id"),
    Case(
        "a local job-dir",
        "j1 --module-name trainer.task --package-path trainer --job-dir output",
        "job-dir-local",
    ),
    Case(
        "a job-dir with a hole",
        "j1 --module-name trainer.task --package-path trainer --job-dir gs://bkt//j1",
        "job-dir-empty-part",
        warned=True,
    ),
    Case(
        "a variable left in the job-dir",
        "j1 --module-name trainer.task --package-path trainer --job-dir 'gs://$BUCKET/out'",
        "unexpanded-variable",
    ),
    Case(
        "a bucket that nobody made",
        "j1 --module-name trainer.task --package-path trainer --job-dir gs://nobodys/out",
        "missing-bucket",
    ),
    Case("a staging bucket that nobody made", f"j1 {PLACE} --staging-bucket gs://nobodys", "missing-bucket"),
    Case(
        "a staging bucket with a folder", f"j1 {PLACE} --staging-bucket gs://stage/folder", "staging-bucket"
    ),
    Case(
        "neither job-dir nor staging bucket",
        "j1 --module-name trainer.task --package-path trainer",
        "nowhere-to-upload",
    ),
    Case("data that is not there", f"j1 {PLACE} -- --train-files gs://bkt/data/trian.csv", "data-missing"),
    Case("a glob that fits nothing", f"j1 {PLACE} -- --train-files 'gs://bkt/shards/*test*'", "data-missing"),
    Case(
        "data in a bucket that is not there",
        f"j1 {PLACE} -- --train-files gs://bkt2/data/train.csv",
        "data-missing",
    ),
    Case("data without a bucket", f"j1 {PLACE} -- --train-files gs:///data/train.csv", "data-no-bucket"),
    Case(
        "a local file for a submitted job",
        f"j1 {PLACE} -- --train-files train.csv",
        "local-path",
        files={"train.csv": "1\n"},
        warned=True,
    ),
    Case("no module", "j1 --package-path trainer --job-dir gs://bkt/out", "no-module-name"),
    Case("no packages", "j1 --module-name trainer.task --job-dir gs://bkt/out", "no-packages"),
    Case("a package file that is not there", f"j1 {PLACE} --packages dep.whl", "no-file"),
    Case(
        "a package URL with nothing at it", f"j1 {PLACE} --packages gs://bkt/none.tar.gz", "missing-package"
    ),
    Case(
        "a package that is a text",
        f"j1 {PLACE} --packages dep.tar.gz",
        "not-an-archive",
        files={"dep.tar.gz": "oops"},
    ),
    Case(
        "two packages with one name",
        f"j1 {PLACE} --packages a/dep-0.1-py3-none-any.whl,b/dep-0.1-py3-none-any.whl",
        "same-file-name",
        files={"a/dep-0.1-py3-none-any.whl": wheel(), "b/dep-0.1-py3-none-any.whl": wheel()},
    ),
    Case(
        "a wheel for Python 2.7",
        f"j1 {PLACE} --packages dep-0.1-cp27-cp27mu-linux_x86_64.whl",
        "wheel-python",
        files={"dep-0.1-cp27-cp27mu-linux_x86_64.whl": wheel()},
    ),
    Case(
        "a wheel for Windows",
        f"j1 {PLACE} --packages dep-0.1-cp311-cp311-win_amd64.whl",
        "wheel-platform",
        files={"dep-0.1-cp311-cp311-win_amd64.whl": wheel()},
    ),
)

MACHINES = (
    Case("a runtime version that never was", f"j1 {PLACE} --runtime-version 1.3", "unknown-runtime"),
    Case("a Python that no runtime has", f"j1 {PLACE} --python-version 3.99", "runtime-python"),
    Case("a TPU tier", f"j1 {PLACE} --scale-tier basic-tpu", "no-tpu"),
    Case(
        "a tier misspelt in the file",
        f"j1 {PLACE} --config c.yaml",
        "unknown-tier",
        files={"c.yaml": "trainingInput:\n  scaleTier: BASIK\n"},
    ),
    Case(
        "a machine type misspelt",
        f"j1 {PLACE} --scale-tier custom --master-machine-type n1-standrad-8",
        "unknown-machine",
    ),
    Case("CUSTOM without a machine", f"j1 {PLACE} --scale-tier custom", "machine-missing"),
    Case(
        "a machine without CUSTOM",
        f"j1 {PLACE} --scale-tier basic --master-machine-type n1-standard-8",
        "machine-without-custom",
    ),
    Case(
        "old and new machine types in one job",
        f"j1 {PLACE} --scale-tier custom --master-machine-type"
        " standard --worker-machine-type n1-standard-8 --worker-count 2",
        "mixed-machines",
    ),
    Case(
        "three GPUs",
        f"j1 {PLACE} --scale-tier custom --master-machine-type n1-standard-8"
        " --master-accelerator type=nvidia-tesla-k80,count=3",
        "accelerator-count",
    ),
    Case(
        "a setting misspelt in the file",
        f"j1 {PLACE} --config c.yaml",
        "unknown-field",
        files={"c.yaml": "trainingInput:\n  runtimeVersoin: '1.8'\n"},
    ),
    Case(
        "a running time without its s",
        f"j1 {PLACE} --config c.yaml",
        "running-time",
        files={"c.yaml": "trainingInput:\n  scheduling: {maxRunningTime: 3600}\n"},
    ),
)

PACKAGES = (
    Case(
        "a package path that is a file",
        "j1 --module-name trainer.task --package-path trainer/task.py --job-dir gs://bkt/out",
        "no-package",
    ),
    Case("a package without __init__.py", code="no-package", files={"trainer/__init__.py": None}),
    Case("a module named as a file", f"j1 {PLACE.replace('trainer.task', 'trainer/task.py')}", "module-name"),
    Case(
        "a module named with its ending",
        f"j1 {PLACE.replace('trainer.task', 'trainer.task.py')}",
        "module-name",
    ),
    Case("a module without its package", f"j1 {PLACE.replace('trainer.task', 'task')}", "no-module"),
    Case(
        "a package in place of a module",
        f"j1 {PLACE.replace('trainer.task', 'trainer')}",
        "module-is-package",
    ),
    Case(
        "a setup.py that packs something else",
        code="module-not-packed",
        files={"setup.py": SETUP.replace("find_packages()", "['other']"), "other/__init__.py": ""},
    ),
    Case(
        "a setup.py that packs nothing",
        code="module-not-packed",
        files={"setup.py": SETUP.replace("find_packages()", "[]")},
    ),
    Case(
        "a setup.py of an empty package",
        code="empty-package",
        files={"setup.py": SETUP, "trainer/task.py": None},
    ),
    Case(
        "a setup.py that raises", code="build-failed", files={"setup.py": "raise RuntimeError('no luck')\n"}
    ),
    Case(
        "a setup.py that reads a file that is not there",
        code="build-failed",
        files={"setup.py": "open('README.rst').read()\n" + SETUP},
    ),
    Case(
        "a setup.py that names a folder that is not there",
        code="build-failed",
        files={"setup.py": SETUP.replace("find_packages()", "['trainer', 'gone']")},
    ),
    Case("a setup.py of Python 2", code="python2", files={"setup.py": "print 'packing'\n" + SETUP}),
    Case(
        "a requirement that no tool can read",
        code="build-failed",
        files={"setup.py": setup("install_requires=['numpy=>1.2']")},
    ),
    Case(
        "a requirement against the runtime",
        code="requirement-conflict",
        files={"setup.py": setup("install_requires=['numpy==1.16.4']")},
    ),
    Case(
        "an old TensorFlow required",
        code="requirement-conflict",
        files={"setup.py": setup("install_requires=['tensorflow==1.8.0']")},
    ),
    Case(
        "a wheel that requires an old pandas",
        f"j1 {PLACE} --packages dep-0.1-py3-none-any.whl",
        "requirement-conflict",
        files={"dep-0.1-py3-none-any.whl": wheel("Requires-Dist: pandas<1\n")},
    ),
    Case(
        "a package for Python 2 only",
        code="requires-python",
        files={"setup.py": setup("python_requires='>=2.7,<3'")},
    ),
    Case(
        "a requirement by its module's name",
        code="requirement-name",
        warned=True,
        files={"setup.py": setup("install_requires=['yaml']")},
    ),
    Case(
        "a package named like one of Python's",
        "j1 --module-name code.task --package-path code --job-dir gs://bkt/out",
        "shadowed-module",
        files={"code/__init__.py": "", "code/task.py": TASK},
    ),
)

SOURCES = (
    Case("the old except", code="python2", task="try:\n    pass\nexcept ValueError, error:\n    pass\n"),
    Case("the old raise", code="python2", task="raise ValueError, 'x'\n"),
    Case("print to a file in Python 2", code="python2", task="import sys\nprint >>sys.stderr, 'x'\n"),
    Case("an octal number of Python 2", code="python2", task="MODE = 0755\n" + TASK),
    Case(
        "Python 2 in a file that task.py imports",
        code="python2",
        task="from trainer import model\n" + TASK,
        files={"trainer/model.py": "print 'model'\n"},
    ),
    Case(
        "Python 2 two imports away",
        code="python2",
        task="from trainer.model import fit\n" + TASK,
        files={
            "trainer/model.py": "from . import layers\ndef fit(): pass\n",
            "trainer/layers.py": "exec 'x = 1'\n",
        },
    ),
    Case("a bracket that is not closed", code="syntax", task="print((1)\n"),
    Case("a merge that was not finished", code="syntax", task="<<<<<<< HEAD\nx = 1\n=======\n>>>>>>> b\n"),
    Case("a notebook's command", code="syntax", task="!pip install six\n" + TASK),
    Case("async as a name", code="syntax", task="def f(async=True): pass\n" + TASK),
    Case(
        "a file in a Korean encoding", code="encoding", task="NAME = '학습'\n".encode("cp949") + TASK.encode()
    ),
    Case("a package that nobody requires", code="missing-import", task="import no_such_framework\n" + TASK),
    Case(
        "an import in main",
        code="missing-import",
        task=TASK.replace("    main()\n", "    import no_such_framework\n    main()\n"),
    ),
    Case("a library of Python 2", code="python2-module", task="import urllib2\n" + TASK),
    Case(
        "another one",
        code="python2-module",
        task="import ConfigParser\n" + TASK,
        files={"setup.py": setup("install_requires=['requests', 'click']")},
    ),
    Case("a built-in of Python 2", code="python2-name", task=task("for i in xrange(3): pass"), warned=True),
    Case(
        "a client library of Google's that nobody requires",
        code="missing-import",
        task="from google.cloud import bigquery\n" + TASK,
    ),
    Case(
        "tf.contrib",
        f"j1 {PLACE} --runtime-version 2026.11-tensorflow",
        "gone-module",
        task="from tensorflow.contrib import layers\n" + TASK,
    ),
    Case(
        "sklearn.cross_validation",
        code="gone-module",
        task="from sklearn.cross_validation import train_test_split\n" + TASK,
    ),
    Case(
        "a neighbour imported by its bare name",
        code="sibling-import",
        task="import model\n" + TASK,
        files={"trainer/model.py": "x = 1\n"},
    ),
    Case(
        "a neighbour imported as in Python 2",
        code="sibling-import",
        task="from model import x\n" + TASK,
        files={"trainer/model.py": "x = 1\n"},
    ),
    Case(
        "a file beside the package",
        code="missing-import",
        task="import helpers\n" + TASK,
        files={"helpers.py": "x = 1\n"},
    ),
    Case(
        "an own module misspelt",
        code="missing-own-module",
        task="from trainer.modle import x\n" + TASK,
        files={"trainer/model.py": "x = 1\n"},
    ),
    Case(
        "an own module by dots, misspelt",
        code="missing-own-module",
        task="from .modle import x\n" + TASK,
        files={"trainer/model.py": "x = 1\n"},
    ),
    Case(
        "a name that a file does not define",
        code="missing-name",
        task="from trainer.model import create_modle\n" + TASK,
        files={"trainer/model.py": "def create_model(): pass\n"},
    ),
    Case(
        "a name that the package does not define",
        code="missing-name",
        task="from trainer import metadta\n" + TASK,
        files={"trainer/metadata.py": "x = 1\n"},
    ),
)

PARSERS = (
    Case(
        "a flag misspelt", f"j1 {PLACE} -- --train-step 3 --eval-file x --trian-files y", "argument-rejected"
    ),
    Case("a flag with underscores", f"j1 {PLACE} -- --train_steps 3", "argument-rejected"),
    Case("a word too many", f"j1 {PLACE} -- --train-steps 3 more", "argument-rejected"),
    Case("a blank before a flag", f"j1 {PLACE} -- --train-steps 3 ' ' --optimizer sgd", "blank-argument"),
    Case("a text for a number", f"j1 {PLACE} -- --train-steps many", "argument-value"),
    Case("a fraction for a whole number", f"j1 {PLACE} -- --train-steps 1e3", "argument-value"),
    Case("a value that is no choice", f"j1 {PLACE} -- --optimizer addam", "argument-value"),
    Case("a value lost with its variable", f"j1 {PLACE} -- --train-steps --optimizer adam", "argument-value"),
    Case(
        "a required flag left out",
        code="argument-missing",
        task=TASK.replace("'--train-files'", "'--train-files', required=True"),
    ),
    Case(
        "a parser without --job-dir",
        code="job-dir-rejected",
        task=TASK.replace("    parser.add_argument('--job-dir', default='out')\n", ""),
    ),
    Case(
        "a parser in another file, with pandas at the top",
        f"j1 {PLACE} -- --depth 3",
        "argument-rejected",
        task="import pandas as pd\nfrom sklearn import svm\nfrom trainer.flags import parse\nparse()\n",
        files={"trainer/flags.py": TASK.replace("main()", "parse()")},
    ),
    Case(
        "a misspelt flag that parse_known_args drops",
        f"j1 {PLACE} -- --train-stepz 3",
        "argument-ignored",
        task=TASK.replace("parse_args()", "parse_known_args()[0]"),
        warned=True,
    ),
    Case(
        "a subcommand that is not there",
        f"j1 {PLACE} -- fitt",
        "argument-value",
        task="import argparse\np = argparse.ArgumentParser()\np.add_argument('--job-dir')\n"
        "s = p.add_subparsers()\ns.add_parser('fit')\np.parse_args()\n",
    ),
)

BROKEN = (*POSTS, *LINES, *MACHINES, *PACKAGES, *SOURCES, *PARSERS)
