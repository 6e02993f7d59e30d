"""Device states: silence is offline, a fault is quarantine, and only people lift that."""

import pytest

from alab.errors import CommandRejected, DeviceError, DeviceFault, DeviceUnreachable
from alab.gateway import Gateway
from alab.laboratory import Laboratory
from tests.acts import state_of


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DeviceUnreachable("mixer", "no answer"), "offline"),
        (DeviceFault("mixer", "lid open"), "quarantined"),
        (CommandRejected("mixer", "too fast"), "ready"),
    ],
)
def test_state_after_a_failure(
    gateway: Gateway, small_laboratory: Laboratory, error: DeviceError, state: str
) -> None:
    gateway.states.failed("mixer", error)
    assert state_of(small_laboratory, "mixer") == state
    assert gateway.states.silent == ({"mixer"} if state == "offline" else set())


def test_device_that_answers_again_stays_in_quarantine(
    gateway: Gateway, small_laboratory: Laboratory
) -> None:
    gateway.states.fell_silent("mixer", "no answer")
    gateway.states.quarantine("mixer", "it squeaks")
    gateway.states.answers_again("mixer")
    assert gateway.states.silent == set()
    assert state_of(small_laboratory, "mixer") == "quarantined"
    gateway.states.declare("mixer", "ready", "oiled", by="anna")
    assert state_of(small_laboratory, "mixer") == "ready"
