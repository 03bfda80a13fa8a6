"""`python -m mlengine.app serve|control`."""

import sys

from mlengine.app.processes import main

sys.exit(main())
