"""The mixer's physics and its frames."""

import pytest

from simulators.mixers.hauschild_smartdac import HauschildSmartdac, Rotor


@pytest.fixture
def mixer(stage) -> HauschildSmartdac:
    crucible = stage.put("mixer_cup")
    crucible.powder.add("BaCO3", 100.0)
    return HauschildSmartdac(stage.world, "mixer_cup")


def write(mixer, code: int, value: int) -> bytes:
    return mixer.answer(b"\x04\x21\x02%02d%05d\x03" % (code, value))


def read(mixer, code: int) -> bytes:
    return mixer.answer(b"\x04\x20\x02%02d00000\x03" % code)


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        (b"\x04\x20\x021800000\x03", b"\x021800001\x03"),
        (b"\x04\x20\x021900000\x03", b"\x021900000\x03"),
        (b"\x04\x21\x021602500\x03", b"\x021602500\x03"),
        (b"\x04\x21\x021602501\x03", b"\x020000002\x03"),
        (b"\x04\x21\x021400004\x03", b"\x020000002\x03"),
        (b"\x04\x20\x029900000\x03", b"\x020000002\x03"),
        (b"\x04\x22\x021800000\x03", b"\x020000002\x03"),
        (b"\x04\x20\x0218\x03", b"\x020000002\x03"),
        (b"hello", b"\x020000002\x03"),
    ],
)
def test_answers_frames(mixer, frame, reply) -> None:
    assert mixer.answer(frame) == reply


def test_it_speeds_up_turns_and_slows_down(stage, mixer) -> None:
    write(mixer, 16, 2000)
    assert write(mixer, 11, 1) == b"\x021100001\x03"
    stage.wait(5.0)
    assert mixer.rotor.speed_rpm == pytest.approx(1000.0)
    stage.wait(20.0)
    assert mixer.rotor.speed_rpm == 2000.0
    assert write(mixer, 16, 1000) == b"\x020000003\x03"
    assert write(mixer, 12, 1) == b"\x021200001\x03"
    stage.wait(5.0)
    assert mixer.rotor.speed_rpm == pytest.approx(1000.0)
    assert read(mixer, 19) == b"\x021900001\x03"
    stage.wait(5.0)
    assert read(mixer, 19) == b"\x021900000\x03"


def test_nine_minutes_at_2000_rpm_mix_well(stage, mixer, monkeypatch) -> None:
    intensities: list[float] = []
    powder = stage.world.crucibles["mixer_cup"].powder
    monkeypatch.setattr(
        type(powder), "mix", lambda self, intensity: intensities.append(intensity)
    )
    write(mixer, 16, 2000)
    write(mixer, 11, 1)
    stage.wait(540.0)
    assert intensities == []  # mixed once it rests, not before
    write(mixer, 12, 1)
    stage.wait(20.0)
    stage.wait(20.0)
    assert len(intensities) == 1
    assert intensities[0] == pytest.approx(0.95, abs=0.01)


def test_many_short_steps_equal_one_long_one() -> None:
    one, many = Rotor(setpoint_rpm=1500.0), Rotor(setpoint_rpm=1500.0)
    one.drive()
    many.drive()
    one.advance(60.0)
    for _ in range(600):
        many.advance(0.1)
    assert one.speed_rpm == pytest.approx(many.speed_rpm)
    assert one.dose_s == pytest.approx(many.dose_s)


def test_an_error_brakes_it_until_somebody_clears_it(stage, mixer) -> None:
    write(mixer, 16, 2000)
    write(mixer, 11, 1)
    stage.wait(30.0)
    mixer.error = 4
    stage.wait(1.0)
    stage.wait(15.0)
    assert read(mixer, 19) == b"\x021900000\x03"
    assert read(mixer, 18) == b"\x021800000\x03"
    assert read(mixer, 20) == b"\x022000004\x03"
    assert write(mixer, 11, 1) == b"\x020000002\x03"
    write(mixer, 20, 1)
    assert read(mixer, 18) == b"\x021800001\x03"
