"""Readiness: people give a device work again, and the device has its say."""

import pytest

from alab.clock import VirtualClock
from alab.errors import DeviceUnreachable, InterlockError
from alab.gateway import Gateway
from alab.laboratory import Laboratory
from alab.models import FurnaceMode
from alab.readiness import make_ready
from tests.acts import state_of
from tests.fakes import Bench


async def test_a_paused_arm_stays_out_of_use(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    gateway.states.quarantine("arm", "emergency stop")
    bench.arm.unfit = "pick_rack_1.urp is paused on it"
    with pytest.raises(
        InterlockError, match=r"arm: is not ready at .*//.*: pick_rack_1.urp is"
    ):
        await clock.run(make_ready(small_laboratory, "arm", "looked at", by="anna"))
    assert state_of(small_laboratory, "arm") == "quarantined"
    assert bench.arm.made_safe == 0
    assert bench.arm.acts == []
    bench.arm.unfit = ""
    await clock.run(make_ready(small_laboratory, "arm", "looked at", by="anna"))
    assert state_of(small_laboratory, "arm") == "ready"


@pytest.mark.parametrize("unfit", [{"mode": FurnaceMode.FAULT}, {"temperature_c": 1300.0}])
async def test_a_furnace_out_of_bounds_stays_out_of_use(
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
    unfit: dict[str, object],
) -> None:
    gateway.states.quarantine("furnace", "broken sensor")
    for attribute, value in unfit.items():
        setattr(bench.furnace, attribute, value)
    with pytest.raises(InterlockError, match="is not ready"):
        await clock.run(make_ready(small_laboratory, "furnace", "new sensor", by="anna"))
    assert state_of(small_laboratory, "furnace") == "quarantined"


async def test_a_silent_device_stays_out_of_use_until_it_answers(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.mixer.off = True
    gateway.states.fell_silent("mixer", "no answer")
    with pytest.raises(DeviceUnreachable):
        await clock.run(make_ready(small_laboratory, "mixer", "plugged in", by="anna"))
    assert state_of(small_laboratory, "mixer") == "offline"
    bench.mixer.off = False
    await clock.run(make_ready(small_laboratory, "mixer", "plugged in", by="anna"))
    assert state_of(small_laboratory, "mixer") == "ready"
    assert gateway.states.silent == set()
