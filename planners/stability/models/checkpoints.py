"""The state of a training after each epoch, on disk, so that it goes on where it stopped."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import jax

from alab.errors import BadInput

_SHAPES = "shapes.json"


class Checkpoints:
    """The last states of one training. Without a folder, nothing is kept.

    To be left as a context, so that what is being written gets onto disk.

    Args:
        folder: Where they lie, None for nowhere.

    Raises:
        BadInput: If the extra ``discovery`` is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.absolute()
        self._files = None if self._folder is None else _files(self._folder)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._files is not None:
            self._files.wait_until_finished()
            self._files.close()

    def last(self, state: Any) -> tuple[int, Any]:
        """Epochs done and the state after them; 0 and ``state`` if there are none.

        Raises:
            BadInput: If what lies there has another shape than ``state``.
        """
        if self._folder is None or self._files is None:
            return 0, state
        _check_shapes(self._folder, state)
        if (epoch := self._files.latest_step()) is None:
            return 0, state
        import orbax.checkpoint as ocp

        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)
        return epoch, self._files.restore(epoch, args=ocp.args.StandardRestore(shapes))

    def keep(self, epoch: int, state: Any) -> None:
        """Keep the state after an epoch, and drop all but the last two."""
        if self._files is not None:
            import orbax.checkpoint as ocp

            self._files.save(epoch, args=ocp.args.StandardSave(state))


def _check_shapes(folder: Path, state: Any) -> None:
    """Compare the arrays of a state with those that the folder was begun with."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    ours = {jax.tree_util.keystr(place): list(array.shape) for place, array in leaves}
    path = folder / _SHAPES
    if not path.exists():
        path.write_text(json.dumps(ours), encoding="utf-8")
    elif json.loads(path.read_text(encoding="utf-8")) != ours:
        raise BadInput(
            f"the checkpoint {folder} is of another shape; name the shape it was trained with, "
            "or another folder"
        )


def _files(folder: Path) -> Any:
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise BadInput('checkpoints need orbax: pip install "alab[discovery]"') from error
    return ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(max_to_keep=2))
