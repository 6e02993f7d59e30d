"""The table of a sample's life, and its picture in the docs."""

from pathlib import Path

import pytest

from alab.errors import TransitionError
from alab.life import (
    CONTROLS,
    TERMINAL,
    TRANSITIONS,
    Control,
    Event,
    Status,
    Wish,
    diagram,
    next_control,
    next_status,
)

DOCS = Path(__file__).parents[3] / "docs" / "sample-life.md"


def test_every_status_and_control_has_a_row() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert set(CONTROLS) == set(Control)


def test_docs_show_the_table_as_it_is() -> None:
    assert f"```mermaid\n{diagram()}\n```" in DOCS.read_text(encoding="utf-8"), (
        "docs/sample-life.md is out of date: paste alab.life.diagram() into it"
    )


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_whatever_has_not_ended_can_fail_and_be_cancelled(status: Status) -> None:
    assert next_status(status, Event.FAIL) is Status.FAILED
    assert next_status(status, Event.CANCEL) is Status.CANCELLED


def test_usual_life() -> None:
    status = Status.QUEUED
    way = (
        Event.PREPARE,
        Event.PREPARED,
        Event.LOAD,
        Event.UNLOAD,
        Event.CHARACTERISE,
        Event.CHARACTERISED,
        Event.REGRIND,
        Event.REGROUND,
        Event.LOAD,
        Event.UNLOAD,
        Event.CHARACTERISE,
        Event.CHARACTERISED,
        Event.FINISH,
    )
    for event in way:
        status = next_status(status, event)
    assert status is Status.FINISHED


def test_refused_event_names_both() -> None:
    with pytest.raises(TransitionError, match="a sample that is queued cannot unload"):
        next_status(Status.QUEUED, Event.UNLOAD)


@pytest.mark.parametrize(
    ("status", "control", "wish", "after"),
    [
        (Status.QUEUED, Control.RUN, Wish.HOLD, Control.HELD),
        (Status.QUEUED, Control.HELD, Wish.RELEASE, Control.RUN),
        (Status.FIRING, Control.RUN, Wish.PAUSE, Control.PAUSED),
        (Status.FIRING, Control.PAUSED, Wish.RESUME, Control.RUN),
        (Status.UNKNOWN, Control.PAUSED, Wish.CANCEL, Control.CANCELLING),
    ],
)
def test_wishes_that_apply(
    status: Status, control: Control, wish: Wish, after: Control
) -> None:
    assert next_control(status, control, wish) is after


@pytest.mark.parametrize(
    ("status", "control", "wish", "why"),
    [
        (Status.FINISHED, Control.RUN, Wish.CANCEL, "it has ended"),
        (Status.FIRING, Control.RUN, Wish.HOLD, "'pause' stops it next"),
        (Status.QUEUED, Control.RUN, Wish.RESUME, "possible: hold, pause, cancel"),
        (Status.QUEUED, Control.CANCELLING, Wish.PAUSE, "possible: nothing more"),
    ],
)
def test_wishes_that_do_not_say_which_do(
    status: Status, control: Control, wish: Wish, why: str
) -> None:
    with pytest.raises(TransitionError, match=why):
        next_control(status, control, wish)
