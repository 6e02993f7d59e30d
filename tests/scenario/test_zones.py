"""Two arms over one rack: the floor notices where they meet, and they never do."""

from alab.claims import Claim
from alab.life import Status
from flows.moves import move
from tests.acts import put
from tests.scenario.rig import Rig, recipe_of

SAMPLE = "c-ZnFe2O4-1"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 60.0})
VISITOR = "a visitor"


async def _carry_away(rig: Rig) -> None:
    """The other arm takes a crucible out of the rack, for somebody else."""
    claim = Claim(owner=VISITOR, stage="move", devices=frozenset({"arm_fire"}))
    lease = await rig.laboratory.claims.acquire(claim)
    await move(rig.laboratory, "visit", VISITOR, "rack.8", "archive.40", lease)
    rig.laboratory.claims.release(lease)


async def test_the_second_arm_waits_and_nothing_is_lost(rig: Rig) -> None:
    with rig.world.lock:
        rig.world.crucibles["rack.8"] = rig.world.new_crucible()
    put(rig.laboratory, "rack.8", VISITOR)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    into_rack = f"{SAMPLE}/prepare/to rack/place"
    await rig.until(lambda: rig.intent(into_rack) == "running")
    await rig.run(_carry_away(rig))
    assert [rig.instrument(arm).collided_with for arm in ("arm_prep", "arm_fire")] == ["", ""]
    first, second = rig.intents()[into_rack], rig.intents()["visit/pick"]
    assert second.issued_at >= first.settled_at
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED, rig.account()
    assert rig.where(VISITOR) == ["archive.40"]
    rig.assert_nothing_leaks()
    rig.assert_each_act_once()
