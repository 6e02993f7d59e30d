"""The state of a training after each epoch, on disk, so that it goes on where it stopped."""

from pathlib import Path
from typing import Any

import jax

from alab.errors import BadInput


class Checkpoints:
    """The last states of one training. Without a folder, nothing is kept.

    Args:
        folder: Where they lie, None for nowhere.

    Raises:
        BadInput: If the extra ``discovery`` is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._files = None if folder is None else _files(folder.absolute())

    def last(self, state: Any) -> tuple[int, Any]:
        """Epochs done and the state after them; 0 and ``state`` if there are none.

        Raises:
            BadInput: If what lies there has another shape than ``state``.
        """
        if self._files is None or (epoch := self._files.latest_step()) is None:
            return 0, state
        import orbax.checkpoint as ocp

        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)
        try:
            found = self._files.restore(epoch, args=ocp.args.StandardRestore(shapes))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"the checkpoint {self._files.directory} is of another shape; name the shape "
                "it was trained with, or another folder"
            ) from error
        return epoch, found

    def keep(self, epoch: int, state: Any) -> None:
        """Keep the state after an epoch, and drop all but the last two."""
        if self._files is not None:
            import orbax.checkpoint as ocp

            self._files.save(epoch, args=ocp.args.StandardSave(state))

    def close(self) -> None:
        """Wait until everything is on disk."""
        if self._files is not None:
            self._files.wait_until_finished()
            self._files.close()


def _files(folder: Path) -> Any:
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise BadInput('checkpoints need orbax: pip install "alab[discovery]"') from error
    return ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(max_to_keep=2))
