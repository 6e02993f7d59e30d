"""Training of structural networks."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.models.batching import Budget
from planners.stability.models.structure_data import Examples
from planners.stability.models.structure_model import Parameters
from planners.stability.models.structure_training import Plan, Progress, scale_of, train
from tests.unit.planners.stability.models.crystals_for_models import SMALL, examples

PLAN = Plan(epochs=4, warm_steps=5, room=Budget(nodes=60, edges=1500, graphs=12))
DATA = examples(60, 0)


def trained(data: Examples = DATA, plan: Plan = PLAN, **options: object) -> Parameters:
    scale = scale_of(data.graphs, data.energies_ev_per_atom)
    settings = {"seeds": [3], "architecture": SMALL} | options
    return train(data.graphs, data.energies_ev_per_atom, scale, plan=plan, **settings)  # type: ignore[arg-type]


def same(one: Parameters, other: Parameters) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_it_learns_what_composition_does_not_tell() -> None:
    errors: list[float] = []

    def note(progress: Progress) -> None:
        errors.append(float(progress.errors_ev_per_atom[0]))

    trained(plan=replace(PLAN, epochs=25, rate=5e-3), report=note)
    scale = scale_of(DATA.graphs, DATA.energies_ev_per_atom)
    linear = np.abs(DATA.energies_ev_per_atom - scale.linear(DATA.graphs)).mean()
    assert errors[-1] < 0.5 * linear


def test_a_seed_trains_the_same_network_again_and_another_seed_another() -> None:
    first, again = trained(), trained()
    assert same(first, again)
    assert not same(first, trained(seeds=[4]))


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        trained(checkpoints=tmp_path, report=stop)
    epochs: list[int] = []
    resumed = trained(checkpoints=tmp_path, report=lambda p: epochs.append(p.epoch))
    assert epochs == [3, 4]
    assert same(resumed, trained())


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    trained(checkpoints=tmp_path, plan=replace(PLAN, epochs=1))
    with pytest.raises(BadInput, match="another shape"):
        trained(checkpoints=tmp_path, architecture=replace(SMALL, width=12))


def test_an_ensemble_that_is_gone_on_from_stays_whole() -> None:
    begin = trained(seeds=[3], plan=replace(PLAN, epochs=1))
    held = {name: jnp.asarray(array) for name, array in begin.items()}
    further = trained(start=held, plan=replace(PLAN, epochs=1))
    assert same({name: np.asarray(array) for name, array in held.items()}, begin)
    assert not same(further, begin)


def test_members_trained_at_once_differ() -> None:
    both = trained(seeds=[3, 4], plan=replace(PLAN, epochs=1))
    assert both["species"].shape[0] == 2
    assert not np.allclose(both["species"][0], both["species"][1])


TWO_DEVICES = """
import jax
from tests.unit.planners.stability.models.test_structure_training import trained
two = trained(devices=jax.devices())
one = trained(devices=jax.devices()[:1])
apart = abs(two["read_out"] - one["read_out"]).max()
print(len(jax.devices()), apart, abs(two["read_out"]).max())
"""


def test_two_devices_share_a_step() -> None:
    said = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said[0] == "2"
    assert float(said[1]) > 1e-4  # steps of two batches are other steps than those of one
    assert float(said[2]) > 1e-3


def test_the_linear_part_is_fitted() -> None:
    scale = scale_of(DATA.graphs, DATA.energies_ev_per_atom)
    left = DATA.energies_ev_per_atom - scale.linear(DATA.graphs)
    assert left.std() == pytest.approx(scale.deviation_ev_per_atom)
    assert left.std() < DATA.energies_ev_per_atom.std()


def test_nothing_to_learn_is_said() -> None:
    with pytest.raises(BadInput, match="1 crystals teach nothing"):
        scale_of(DATA.graphs[:1], DATA.energies_ev_per_atom[:1])
    with pytest.raises(BadInput, match="0 epochs"):
        trained(plan=replace(PLAN, epochs=0))
    with pytest.raises(BadInput, match="follow from the composition"):
        scale_of([DATA.graphs[0]] * 5, np.full(5, -1.0))
