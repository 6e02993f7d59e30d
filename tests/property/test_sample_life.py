"""Whatever happens to a sample, in whatever order."""

from hypothesis import given, strategies as st

from alab.errors import TransitionError
from alab.life import (
    CONTROLS,
    TERMINAL,
    TRANSITIONS,
    Control,
    Event,
    Status,
    Wish,
    next_control,
    next_status,
)


@given(st.lists(st.sampled_from(Event), max_size=60))
def test_ended_samples_stay_ended(events: list[Event]) -> None:
    status = Status.QUEUED
    for event in events:
        try:
            after = next_status(status, event)
        except TransitionError:
            assert event not in TRANSITIONS[status]
            continue
        assert status not in TERMINAL
        status = after


@given(st.sampled_from(Status))
def test_every_status_can_be_reached_and_left(status: Status) -> None:
    assert status in _reachable(Status.QUEUED)
    if status not in TERMINAL:
        assert _reachable(status) >= TERMINAL - {Status.FINISHED}
        assert Status.FINISHED in _reachable(status)


@given(
    st.sampled_from(sorted(set(Status) - TERMINAL)),
    st.lists(st.sampled_from(Wish), max_size=30),
)
def test_cancellation_is_never_taken_back(status: Status, wishes: list[Wish]) -> None:
    control, cancelled = Control.RUN, False
    for wish in wishes:
        try:
            control = next_control(status, control, wish)
        except TransitionError:
            continue
        assert not cancelled
        cancelled = control is Control.CANCELLING


@given(st.sampled_from(Control), st.sampled_from(sorted(set(Status) - TERMINAL)))
def test_a_stopped_sample_can_be_set_free_or_cancelled(
    control: Control, status: Status
) -> None:
    if control is Control.CANCELLING:
        assert CONTROLS[control] == {}
        return
    assert next_control(status, control, Wish.CANCEL) is Control.CANCELLING
    if control is not Control.RUN:
        assert Control.RUN in CONTROLS[control].values()


def _reachable(start: Status) -> set[Status]:
    found, new = {start}, [start]
    while new:
        for after in TRANSITIONS[new.pop()].values():
            if after not in found:
                found.add(after)
                new.append(after)
    return found
