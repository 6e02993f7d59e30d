"""The doser's physics and its answers, straight from the command set."""

import statistics

import pytest

from simulators.balances.mettler_quantos import MettlerQuantos


def ready(stage) -> MettlerQuantos:
    """A doser with a vessel, a locked head, a shut door and a resting pan."""
    balance = MettlerQuantos(stage.world, "doser", "doser_pan")
    stage.put("doser_pan")
    stage.world.mounted["doser"] = 1
    for command in (b"QRA 60 7 2", b"QRA 60 2 4"):
        balance.answer(command)
        stage.wait(5.0)
    balance.unasked()
    stage.wait(10.0)
    return balance


@pytest.fixture
def balance(stage) -> MettlerQuantos:
    return ready(stage)


def dose(stage, balance, mass_mg: float, tolerance_percent: float = 2.0) -> float:
    """Dose, and return what arrived."""
    powder = stage.world.crucibles["doser_pan"].powder
    before_mg = powder.mass_mg
    assert balance.answer(b"QRD 1 1 5 %.2f" % mass_mg) == b"QRD 1 1 5 A\r\n"
    assert balance.answer(b"QRD 1 1 6 %.1f" % tolerance_percent) == b"QRD 1 1 6 A\r\n"
    assert balance.answer(b"QRA 61 1") == b"QRA 61 1 B\r\n"
    stage.wait(700.0)
    assert balance.unasked() == b"QRA 61 1 A\r\n"
    return powder.mass_mg - before_mg


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"I2", b'I2 A "XPE206DRQ Quantos 220.00000 g"\r\n'),
        (b"QRD 2 3 7", b"QRD 2 3 7 2 A\r\n"),
        (b"QRD 2 3 8", b"QRD 2 3 8 I 4\r\n"),
        (b"QRD 1 1 5 0.09", b"QRD 1 1 5 L\r\n"),
        (b"QRD 1 1 5 0.10", b"QRD 1 1 5 A\r\n"),
        (b"QRD 1 1 5 250000.1", b"QRD 1 1 5 L\r\n"),
        (b"QRD 1 1 6 40.1", b"QRD 1 1 6 L\r\n"),
        (b"QRD 1 1 7 2", b"QRD 1 1 7 L\r\n"),
        (b"QRD 1 1 9 0", b"QRD 1 1 9 A\r\n"),
        (b"QRD 1 1 99 0", b"QRD 1 1 99 L\r\n"),
        (b"QRD 1 1 5 much", b"QRD 1 1 5 L\r\n"),
        (b"QRA 60 8 3", b"QRA 60 8 I 4\r\n"),
        (b"QRA 61 4", b"QRA 61 4 A\r\n"),
        (b"QRA 99 1", b"QRA 99 1 L\r\n"),
        (b"QRD 9 9 9", b"ES\r\n"),
        (b"s", b"ES\r\n"),
        (b"", b""),
    ],
)
def test_answers_as_the_command_set_says(balance, request_, reply) -> None:
    assert balance.answer(request_) == reply


def test_identity_and_reset_give_the_serial_number(balance) -> None:
    assert balance.answer(b"@") == balance.answer(b"I4")


def test_a_reading_rests_four_seconds_after_the_load_changed(stage, balance) -> None:
    assert balance.answer(b"S").startswith(b"S S ")
    stage.world.crucibles.clear()
    stage.wait(0.1)
    assert balance.answer(b"S") == b"S I\r\n"
    assert balance.answer(b"SI").startswith(b"S D ")
    stage.wait(4.0)
    assert balance.answer(b"S").startswith(b"S S ")


def test_readings_scatter_by_20_micrograms(stage, balance) -> None:
    readings_mg = [1000 * float(balance.answer(b"S").split()[2]) for _ in range(400)]
    load_mg = stage.world.crucibles["doser_pan"].gross_mass_mg
    assert statistics.mean(readings_mg) == pytest.approx(load_mg, abs=0.01)
    assert statistics.stdev(readings_mg) == pytest.approx(0.02, rel=0.2)


def test_an_open_draught_door_makes_readings_poor(stage, balance) -> None:
    balance.answer(b"QRA 60 7 3")
    stage.wait(5.0)
    readings_mg = [1000 * float(balance.answer(b"S").split()[2]) for _ in range(100)]
    assert statistics.stdev(readings_mg) > 0.1


def test_tare_makes_the_load_the_new_zero(balance) -> None:
    assert balance.answer(b"T").startswith(b"T S ")
    assert abs(float(balance.answer(b"S").split()[2])) < 0.0002
    assert balance.answer(b"TAC") == b"TAC A\r\n"
    assert float(balance.answer(b"S").split()[2]) > 11.0


def test_an_action_ends_after_its_time(stage, balance) -> None:
    assert balance.answer(b"QRA 60 7 3") == b"QRA 60 7 B\r\n"
    assert balance.answer(b"QRD 2 3 7") == b"QRD 2 3 7 9 A\r\n"
    assert balance.answer(b"QRA 60 2 3") == b"QRA 60 2 I 2\r\n"
    assert balance.due_s == stage.now_s + 3.0
    stage.wait(3.0)
    assert balance.unasked() == b"QRA 60 7 A\r\n"
    assert balance.unasked() == b""
    assert balance.answer(b"QRD 2 3 7") == b"QRD 2 3 7 3 A\r\n"


def test_head_data_are_xml(balance) -> None:
    lines = balance.answer(b"QRD 2 4 11").split(b"\r\n")
    assert lines[0] == b"QRD 2 4 11 B"
    assert b"<Substance>BaCO3</Substance>" in lines
    assert lines[-2:] == [b"QRD 2 4 11 A", b""]


@pytest.mark.parametrize(
    ("spoil", "reply"),
    [
        ("no head", b"QRA 61 1 I 1\r\n"),
        ("door open", b"QRA 61 1 I 5\r\n"),
        ("head loose", b"QRA 61 1 I 5\r\n"),
    ],
)
def test_a_dose_needs_head_door_and_lock(stage, balance, spoil, reply) -> None:
    balance.answer(b"QRD 1 1 5 50")
    if spoil == "no head":
        stage.world.mounted.clear()
    else:
        balance.answer(b"QRA 60 7 3" if spoil == "door open" else b"QRA 60 2 3")
        stage.wait(5.0)
    assert balance.answer(b"QRA 61 1") == reply


def test_while_it_doses_it_is_busy(stage, balance) -> None:
    balance.answer(b"QRD 1 1 5 50")
    balance.answer(b"QRA 61 1")
    stage.wait(20.0)
    assert balance.answer(b"S") == b"S I\r\n"
    assert balance.answer(b"QRA 61 1") == b"QRA 61 1 I 2\r\n"
    assert balance.answer(b"QRD 1 1 5 60") == b"QRD 1 1 5 I 2\r\n"
    assert balance.answer(b"QRD 2 4 11") == b"QRD 2 4 11 I 2\r\n"
    assert balance.answer(b"QRD 2 3 7") == b"QRD 2 3 7 2 A\r\n"
    assert balance.answer(b"QRA 61 4") == b"QRA 61 4 A\r\nQRA 61 1 I 8\r\n"


def test_coarse_comes_before_fine(stage, balance) -> None:
    powder = stage.world.crucibles["doser_pan"].powder
    balance.answer(b"QRD 1 1 5 100")
    balance.answer(b"QRA 61 1")
    duration_s = balance.due_s - stage.now_s
    stage.wait(0.4 * duration_s)
    coarse_mg = powder.mass_mg
    stage.wait(0.61 * duration_s)
    assert coarse_mg == pytest.approx(0.92 * powder.mass_mg, rel=0.01)


@pytest.mark.parametrize(
    ("mass_mg", "at_least_s", "at_most_s"), [(50, 100, 170), (150, 140, 240)]
)
def test_dosing_takes_two_to_three_minutes(new_stage, mass_mg, at_least_s, at_most_s) -> None:
    durations_s = []
    for seed in range(20):
        stage = new_stage(seed)
        balance = ready(stage)
        balance.answer(b"QRD 1 1 5 %d" % mass_mg)
        balance.answer(b"QRA 61 1")
        durations_s.append(balance.due_s - stage.now_s)
    assert at_least_s < statistics.median(durations_s) < at_most_s
    assert max(durations_s) > 1.15 * min(durations_s)


def test_most_doses_are_within_tolerance_and_some_overshoot(new_stage) -> None:
    stage = new_stage(1)
    balance = ready(stage)
    stage.world.heads[1].mass_mg = 1e6
    errors_mg = [dose(stage, balance, 100.0) - 100.0 for _ in range(200)]
    assert min(errors_mg) >= -2.0 - 1e-9
    overshoots = [error_mg for error_mg in errors_mg if error_mg > 2.0]
    assert 0.01 <= len(overshoots) / len(errors_mg) <= 0.10
    assert max(overshoots) < 20.0


def test_what_arrives_left_the_head(stage, balance) -> None:
    before_mg = stage.world.heads[1].mass_mg
    arrived_mg = dose(stage, balance, 100.0)
    assert before_mg - stage.world.heads[1].mass_mg == pytest.approx(arrived_mg)


def test_many_looks_dose_the_same_as_none(new_stage) -> None:
    masses_mg = []
    for step_s in (None, 0.7):
        stage = new_stage()
        balance = ready(stage)
        balance.answer(b"QRD 1 1 5 100")
        balance.answer(b"QRA 61 1")
        stage.wait(400.0, step_s)
        masses_mg.append(stage.world.crucibles["doser_pan"].powder.mass_mg)
    assert masses_mg[0] == pytest.approx(masses_mg[1], abs=1e-9)


def test_the_seed_decides(new_stage) -> None:
    first, again, other = (
        dose(stage := new_stage(seed), ready(stage), 100.0) for seed in (5, 5, 6)
    )
    assert first == again != other


def test_an_empty_head_ends_with_a_powder_flow_error(stage, balance) -> None:
    stage.world.heads[1].mass_mg = 30.0
    balance.answer(b"QRD 1 1 5 100")
    balance.answer(b"QRA 61 1")
    stage.wait(400.0)
    assert balance.unasked() == b"QRA 61 1 I 7\r\n"
    assert stage.world.crucibles["doser_pan"].powder.mass_mg == pytest.approx(30.0)


def test_powder_beside_the_vessel_is_lost_and_noticed(stage, balance) -> None:
    stage.world.crucibles.clear()
    stage.wait(5.0)
    balance.answer(b"QRD 1 1 5 100")
    balance.answer(b"QRA 61 1")
    stage.wait(30.0)
    assert balance.unasked() == b"QRA 61 1 I 7\r\n"
    assert stage.world.heads[1].mass_mg < 10_000.0
