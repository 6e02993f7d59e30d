"""Trained parameters as a file: arrays in half precision and a card, nothing that can run."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from alab.errors import BadInput

Card = TypeVar("Card", bound=BaseModel)
Arrays = Mapping[str, NDArray[Any]]

_CARD = "card"


def write(path: Path, card: BaseModel, stacked: Arrays) -> None:
    """Write arrays, each with a first axis of members, and the card that describes them."""
    halves = {name: np.asarray(array, dtype=np.float16) for name, array in stacked.items()}
    text = np.array(card.model_dump_json())
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{_CARD: text}, **halves)


def read(path: Path, card_type: type[Card]) -> tuple[Card, dict[str, NDArray[np.float32]]]:
    """Read what ``write`` wrote.

    Raises:
        BadInput: If the file is missing or none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        card = card_type.model_validate_json(str(arrays.pop(_CARD)))
    except FileNotFoundError as error:
        raise BadInput(f"{path} is no file; train an ensemble, or name another") from error
    except (
        ValueError,
        KeyError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        ValidationError,
    ) as error:
        raise BadInput(f"{path} holds no trained ensemble: {error}") from error
    return card, {name: array.astype(np.float32) for name, array in arrays.items()}


def check(stacked: Arrays, expected: Mapping[str, tuple[int, ...]], where: str) -> None:
    """See that arrays have the shapes that their card names.

    Args:
        stacked: Arrays with a first axis of members.
        expected: Shape of each array of one member.
        where: File or folder, for the error.

    Raises:
        BadInput: If one has another shape, is missing or is too many.
    """
    found = {name: array.shape[1:] for name, array in stacked.items()}
    odd = sorted(n for n in {*expected, *found} if expected.get(n) != found.get(n))
    if odd or len({len(array) for array in stacked.values()}) != 1:
        told = ", ".join(f"{n} {found.get(n)} for {expected.get(n)}" for n in odd[:3])
        raise BadInput(
            f"{where}: weights of another shape ({told or 'members'}); train them anew with "
            "this version, or name the architecture they were trained with"
        )
