"""The laboratory that the flows of this process work in.

Prefect stores a flow's parameters, so they are names and numbers; the laboratory itself
travels in a context variable, set once by whoever starts the flows.
"""

from contextvars import ContextVar

from alab.laboratory import Laboratory

_current: ContextVar[Laboratory] = ContextVar("laboratory")


def set_laboratory(laboratory: Laboratory) -> None:
    """Make ``laboratory`` the one that flows started from this context work in."""
    _current.set(laboratory)


def current_laboratory() -> Laboratory:
    """The laboratory of this context.

    Raises:
        LookupError: If none was set.
    """
    return _current.get()
