import pytest

from simulators.world.world import CRUCIBLE_MASS_MG, World


def test_a_draw_depends_on_its_key_and_the_seed_alone():
    world = World(5, lambda: 0.0)
    first = world.rng("dose", "C0001", 3).normal()
    world.rng("other").normal()
    assert world.rng("dose", "C0001", 3).normal() == first
    assert World(6, lambda: 0.0).rng("dose", "C0001", 3).normal() != first


def test_advance_brings_every_device_to_the_same_present():
    seen: list[tuple[str, float]] = []
    world = World(0, lambda: 12.5)
    world.on_advance(lambda now_s: seen.append(("furnace", now_s)))
    world.on_advance(lambda now_s: seen.append(("arm", now_s)))
    assert world.advance() == 12.5
    assert seen == [("furnace", 12.5), ("arm", 12.5)]


def test_crucibles_are_numbered_and_weigh_alike():
    world = World(0, lambda: 0.0)
    first, second = world.new_crucible(), world.new_crucible()
    assert (first.name, second.name) == ("C0001", "C0002")
    assert first.mass_mg != second.mass_mg
    assert abs(first.mass_mg - CRUCIBLE_MASS_MG) < 250.0
    first.powder.add("MgO", 12.0)
    assert first.gross_mass_mg - first.mass_mg == pytest.approx(12.0)
    assert first.powder.chemistry is world.nature
