"""Model files: arrays of numbers and text in one ``.npz``, read without running any code."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput


def write_model(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays; weights go as half-precision numbers, as the last digits say nothing."""
    halves = {
        name: a.astype(np.float16) if a.dtype == np.float32 else a for name, a in arrays.items()
    }
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **halves)


def read_model(path: Path) -> dict[str, NDArray[Any]]:
    """Read arrays; weights come back in single precision.

    Raises:
        BadInput: If the file is missing or no such model.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(
            f"{path} is no model of the literature ({error}); install alab again, or train one "
            "with python -m planners.literature.train CORPUS --out DIR"
        ) from error
    return {n: a.astype(np.float32) if a.dtype == np.float16 else a for n, a in arrays.items()}
