"""The life of a sample, as one table; the diagram in docs/sample-life.md is made from it.

``TRANSITIONS`` says where the matter is in its way through the laboratory, ``CONTROLS``
what the operator wants of it. The two are independent: a sample can be paused anywhere.
A pause or a cancellation takes effect when the stage under way has ended, because a
physical act is never broken off half-way.
"""

from enum import StrEnum

from alab.errors import TransitionError


class Status(StrEnum):
    """Where a sample is in its life."""

    QUEUED = "queued"
    PREPARING = "preparing"
    PREPARED = "prepared"
    FIRING = "firing"
    RECOVERED = "recovered"
    CHARACTERISING = "characterising"
    CHARACTERISED = "characterised"
    REGRINDING = "regrinding"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Event(StrEnum):
    """What can happen to a sample."""

    PREPARE = "prepare"
    PREPARED = "prepared"
    LOAD = "load"
    UNLOAD = "unload"
    CHARACTERISE = "characterise"
    CHARACTERISED = "characterised"
    REGRIND = "regrind"
    REGROUND = "reground"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    LOSE = "lose"
    FOUND_PREPARED = "found_prepared"
    FOUND_RECOVERED = "found_recovered"


_ENDS = {Event.FAIL: Status.FAILED, Event.CANCEL: Status.CANCELLED}
_UNDER_WAY = _ENDS | {Event.LOSE: Status.UNKNOWN}

TRANSITIONS: dict[Status, dict[Event, Status]] = {
    Status.QUEUED: {Event.PREPARE: Status.PREPARING, **_ENDS},
    Status.PREPARING: {Event.PREPARED: Status.PREPARED, **_UNDER_WAY},
    Status.PREPARED: {Event.LOAD: Status.FIRING, **_UNDER_WAY},
    Status.FIRING: {Event.UNLOAD: Status.RECOVERED, **_UNDER_WAY},
    Status.RECOVERED: {Event.CHARACTERISE: Status.CHARACTERISING, **_UNDER_WAY},
    Status.CHARACTERISING: {Event.CHARACTERISED: Status.CHARACTERISED, **_UNDER_WAY},
    Status.CHARACTERISED: {
        Event.REGRIND: Status.REGRINDING,
        Event.FINISH: Status.FINISHED,
        **_UNDER_WAY,
    },
    Status.REGRINDING: {Event.REGROUND: Status.PREPARED, **_UNDER_WAY},
    Status.UNKNOWN: {
        Event.FOUND_PREPARED: Status.PREPARED,
        Event.FOUND_RECOVERED: Status.RECOVERED,
        **_ENDS,
    },
    Status.FINISHED: {},
    Status.FAILED: {},
    Status.CANCELLED: {},
}

TERMINAL = frozenset(status for status, row in TRANSITIONS.items() if not row)


class Control(StrEnum):
    """What the operator wants of a sample."""

    RUN = "run"
    HELD = "held"
    PAUSED = "paused"
    CANCELLING = "cancelling"


class Wish(StrEnum):
    """What an operator can ask for."""

    HOLD = "hold"
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


CONTROLS: dict[Control, dict[Wish, Control]] = {
    Control.RUN: {
        Wish.HOLD: Control.HELD,
        Wish.PAUSE: Control.PAUSED,
        Wish.CANCEL: Control.CANCELLING,
    },
    Control.HELD: {Wish.RELEASE: Control.RUN, Wish.CANCEL: Control.CANCELLING},
    Control.PAUSED: {Wish.RESUME: Control.RUN, Wish.CANCEL: Control.CANCELLING},
    Control.CANCELLING: {},
}


def next_status(status: Status, event: Event) -> Status:
    """Return the status a sample has after an event.

    Raises:
        TransitionError: If a sample in this status does not accept the event.
    """
    try:
        return TRANSITIONS[status][event]
    except KeyError:
        raise TransitionError(f"a sample that is {status} cannot {event}") from None


def next_control(status: Status, control: Control, wish: Wish) -> Control:
    """Return the control a sample is under after an operator's wish.

    Raises:
        TransitionError: If the wish does not apply; says which one does.
    """
    if status in TERMINAL:
        raise TransitionError(f"cannot {wish} a sample that is {status}: it has ended")
    if wish is Wish.HOLD and status is not Status.QUEUED:
        raise TransitionError(f"cannot hold a sample that is {status}; 'pause' stops it next")
    try:
        return CONTROLS[control][wish]
    except KeyError:
        allowed = ", ".join(CONTROLS[control]) or "nothing more"
        raise TransitionError(
            f"cannot {wish} a sample under control {control!r}; possible: {allowed}"
        ) from None


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {Status.QUEUED}"]
    for status, row in TRANSITIONS.items():
        lines += [f"    {status} --> {after}: {event}" for event, after in row.items()]
        if not row:
            lines.append(f"    {status} --> [*]")
    return "\n".join(lines)
