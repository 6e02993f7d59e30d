"""Zones: two arms never work in one place at once, and the second waits for the first."""

from pathlib import Path

import pytest

from alab import programs
from alab.claims import Claim, Lease
from alab.clock import VirtualClock
from alab.commands import RunProgram
from alab.errors import DeviceUnreachable, InterlockError, UnknownOutcome
from alab.intents import NOT_DONE
from alab.lab import DeviceKind, load_lab
from alab.laboratory import Laboratory
from alab.operations import Operator
from alab.store.store import Store
from tests.acts import PICK, open_questions, put
from tests.conftest import SMALL_LAB
from tests.fakes import Bench, FakeArm

PICK_2 = RunProgram(program=programs.pick("rack.2"), takes_from="rack.2")
PICK_CUP = RunProgram(program=programs.pick("cup"), takes_from="cup")
TWO_ARMS = SMALL_LAB.replace(
    "[devices.furnace]",
    '[devices.other]\nkind = "an_arm"\naddress = "tcp://10.0.0.9:29999"\n\n[devices.furnace]',
).replace('slots = 4\narms = ["arm"]', 'slots = 4\narms = ["arm", "other"]')


class Pair:
    """A laboratory with two arms over one rack, each arm leased to its own stage."""

    def __init__(self, make: "Maker") -> None:
        self.make = make
        self.laboratory = make()
        self.clock = make.clock
        self.arm, self.other = make.bench.arm, make.other

    async def lease(self, arm: str) -> Lease:
        claim = Claim(owner=f"owner of {arm}", stage="test", devices=frozenset({arm}))
        return await self.laboratory.claims.acquire(claim)

    async def perform(self, key: str, arm: str, command: RunProgram) -> float:
        """Carry it out under a lease of its own; returns when it was over."""
        lease = await self.lease(arm)
        try:
            await self.laboratory.gateway.perform(key, arm, command, lease=lease)
        finally:
            self.laboratory.claims.release(lease)
        return self.clock.monotonic_s()

    def restart(self) -> None:
        self.laboratory = self.make()

    @property
    def kept_out(self) -> dict[str, str]:
        return self.laboratory.gateway.kept_out


class Maker:
    """Makes laboratories on the same store and devices."""

    def __init__(
        self, tmp_path: Path, kinds: dict[str, DeviceKind], clock: VirtualClock, store: Store
    ) -> None:
        path = tmp_path / "two-arms.toml"
        path.write_text(TWO_ARMS, encoding="utf-8")
        self.lab, self.kinds, self.clock, self.store = (
            load_lab(path, kinds),
            kinds,
            clock,
            store,
        )
        self.bench, self.other = Bench(clock), FakeArm("other", clock)

    def __call__(self) -> Laboratory:
        devices = self.bench.devices | {"other": self.other}
        return Laboratory(self.lab, self.kinds, devices, self.store, self.clock)


@pytest.fixture
def pair(
    tmp_path: Path, small_kinds: dict[str, DeviceKind], clock: VirtualClock, empty_store: Store
) -> Pair:
    made = Pair(Maker(tmp_path, small_kinds, clock, empty_store))
    for name in made.make.lab.devices:
        made.laboratory.gateway.states.answers(name)
    for slot, sample in {"rack.1": "s", "rack.2": "t", "cup": "u"}.items():
        put(made.laboratory, slot, sample)
    return made


async def test_second_arm_waits_until_the_first_has_left(pair: Pair) -> None:
    async def main() -> None:
        first = pair.clock.spawn(pair.perform("a", "arm", PICK), name="a")
        await pair.clock.sleep(4.0)
        second = pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b")
        await pair.clock.sleep(1.0)
        assert pair.other.acts == []
        assert pair.kept_out == {
            "owner of other": f"arm to leave rack, where it plays {PICK.program}"
        }
        await pair.clock.join(first, second)
        assert (first.result(), second.result()) == (10.0, 20.0)

    await pair.clock.run(main())
    assert pair.kept_out == {}


async def test_arms_in_different_places_work_at_once(pair: Pair) -> None:
    async def main() -> None:
        first = pair.clock.spawn(pair.perform("a", "arm", PICK_CUP), name="a")
        second = pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b")
        await pair.clock.join(first, second)
        assert (first.result(), second.result()) == (10.0, 10.0)

    await pair.clock.run(main())


async def test_only_one_of_two_that_come_at_once_enters(pair: Pair) -> None:
    async def main() -> None:
        both = [
            pair.clock.spawn(pair.perform("a", "arm", PICK), name="a"),
            pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b"),
        ]
        await pair.clock.join(*both)
        assert sorted(act.result() for act in both) == [10.0, 20.0]

    await pair.clock.run(main())


async def test_interlocks_are_looked_at_again_after_the_wait(pair: Pair) -> None:
    async def main() -> None:
        first = pair.clock.spawn(pair.perform("a", "arm", PICK), name="a")
        await pair.clock.sleep(1.0)
        second = pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b")
        await pair.clock.sleep(1.0)
        put(pair.laboratory, "rack.2", None)
        await pair.clock.join(first, second)
        assert isinstance(second.exception(), InterlockError)

    await pair.clock.run(main())
    assert pair.other.acts == []


async def test_arm_that_was_declined_is_not_inside(pair: Pair) -> None:
    pair.arm.fails = "dead"

    async def main() -> None:
        with pytest.raises(DeviceUnreachable):
            await pair.perform("a", "arm", PICK)
        assert await pair.perform("b", "other", PICK_2) == 10.0

    await pair.clock.run(main())


async def test_nobody_enters_where_an_arm_broke_off_until_people_have_looked(
    pair: Pair,
) -> None:
    pair.arm.fails_at_end = "faults"

    async def main() -> None:
        with pytest.raises(UnknownOutcome):
            await pair.perform("a", "arm", PICK)
        second = pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b")
        await pair.clock.sleep(1000.0)
        (question,) = open_questions(pair.laboratory)
        Operator(pair.laboratory).answer(question.id, NOT_DONE, by="anna")
        await pair.clock.sleep(1000.0)
        (words,) = pair.kept_out.values()  # it stands there still
        assert f"{PICK.program} broke off" in words
        assert "alab device ready arm" in words
        pair.laboratory.gateway.states.declare("arm", "ready", "it is home", by="anna")
        pair.laboratory.changed.set()
        await pair.clock.join(second)
        assert second.result() == 2020.0

    await pair.clock.run(main())


async def test_link_lost_in_mid_program_keeps_others_out_across_a_restart(pair: Pair) -> None:
    pair.arm.fails_at_end = "dead"

    async def main() -> None:
        with pytest.raises(DeviceUnreachable):
            await pair.perform("a", "arm", PICK)
        pair.restart()
        await pair.laboratory.gateway.reconnect()
        pair.laboratory.gateway.states.answers("arm")
        second = pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b")
        await pair.clock.sleep(100.0)
        assert pair.other.acts == []
        await pair.perform("a", "arm", PICK)  # re-attached to, and ends
        await pair.clock.join(second)
        assert second.result() == 130.0

    await pair.clock.run(main())
    assert pair.arm.acts == [PICK.program]


async def test_act_that_nobody_follows_ends_with_the_word_of_a_person(pair: Pair) -> None:
    pair.arm.fails_at_end = "dead"

    async def main() -> None:
        with pytest.raises(DeviceUnreachable):
            await pair.perform("a", "arm", PICK)
        second = pair.clock.spawn(pair.perform("b", "other", PICK_2), name="b")
        await pair.clock.sleep(100.0)
        pair.laboratory.gateway.states.declare("arm", "ready", "it is home", by="anna")
        pair.laboratory.changed.set()
        await pair.clock.join(second)
        assert second.result() == 120.0

    await pair.clock.run(main())
