"""Device states: silence is offline, a fault is quarantine, and only people lift that."""

import pytest

from alab.clock import VirtualClock
from alab.errors import (
    CommandRejected,
    DeviceError,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
)
from alab.gateway import Gateway
from alab.laboratory import Laboratory
from tests.acts import restarted, state_of
from tests.fakes import Bench


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DeviceUnreachable("mixer", "no answer"), "offline"),
        (DeviceFault("mixer", "lid open"), "quarantined"),
        (CommandRejected("mixer", "close the lid"), "quarantined"),
        (InterlockError("mixer", "no lease"), "ready"),
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


def test_an_answer_that_could_not_be_written_is_written_later(
    gateway: Gateway, small_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> None:
        raise OSError("database is locked")

    gateway.states.fell_silent("mixer", "no answer")
    with monkeypatch.context() as patch:
        patch.setattr(small_laboratory.store, "begin", locked)
        with pytest.raises(OSError, match="locked"):
            gateway.states.answers_again("mixer")
    gateway.states.answers_again("mixer")
    assert state_of(small_laboratory, "mixer") == "ready"


def test_quarantine_outlasts_silence(gateway: Gateway, small_laboratory: Laboratory) -> None:
    gateway.states.declare("furnace", "quarantined", "hands in it", by="anna")
    gateway.states.fell_silent("furnace", "no answer")
    assert gateway.states.silent == {"furnace"}
    assert state_of(small_laboratory, "furnace") == "quarantined"
    gateway.states.answers("furnace")
    assert gateway.states.silent == set()
    assert state_of(small_laboratory, "furnace") == "quarantined"


async def test_quarantine_outlasts_a_restart_with_the_device_off(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    gateway.states.declare("arm", "quarantined", "anna is in its cell", by="anna")
    bench.arm.off = True
    again = restarted(small_laboratory, bench)
    assert set(await clock.run(again.gateway.connect())) == {"arm"}
    bench.arm.off = False
    await clock.run(again.gateway.reconnect())
    assert again.gateway.states.silent == set()
    assert state_of(again, "arm") == "quarantined"
