"""The door of the program: finds its neighbours without a `mlengine` around it, then supervises."""

from __future__ import annotations

import os
import sys

if not __package__:
    # At the end of the path: nothing here may stand before a module of the standard library.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(os.path.dirname(here))
    __package__ = os.path.basename(here)

from .supervisor import main

if __name__ == "__main__":
    main(sys.argv[1])
