"""The planners' tests ask the project's own table, whatever is installed or configured."""

import os

os.environ["ALAB_THERMO"] = "own"
