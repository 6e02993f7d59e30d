"""The array type of this package: floating point, shape said in docstrings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""Any floating-point NumPy array."""
