"""A lab file: every mistake is found, and named by file, line and key."""

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from alab.errors import LabFileError
from alab.lab import Address, Capability, DeviceKind, LabDefinition, load_lab
from alab.models import Atmosphere
from drivers.catalog import KINDS

Load = Callable[[str], LabDefinition]


@pytest.fixture
def load(tmp_path: Path, small_kinds: dict[str, DeviceKind]) -> Load:
    def loads(text: str) -> LabDefinition:
        path = tmp_path / "lab.toml"
        path.write_text(text, encoding="utf-8")
        return load_lab(path, small_kinds)

    return loads


def line_of(text: str, start: str, nth: int = 1) -> int:
    found = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start)]
    return found[nth - 1]


def test_example_is_the_laboratory_it_says() -> None:
    with as_file(files("alab.data") / "lab.toml") as path:
        lab = load_lab(path, KINDS)
    assert lab.devices_with(Capability.FURNACE, KINDS) == [
        "furnace_a",
        "furnace_b",
        "furnace_c",
        "furnace_d",
    ]
    assert all(lab.places[f"chamber_{x}"].slots == 8 for x in "abcd")
    assert len(lab.precursors) == 30
    assert "(NH4)2HPO4" in lab.precursors
    assert lab.firing_limits("furnace_d").atmospheres == (
        Atmosphere.AIR,
        Atmosphere.N2,
        Atmosphere.O2,
    )


# replaced text, by what, start of the line that is to be named, key, words of the message
MISTAKES: dict[str, tuple[str, str, str, str, str]] = {
    "unknown device kind": (
        'kind = "a_mixer"',
        'kind = "a_blender"',
        'kind = "a_blender"',
        "devices.mixer.kind",
        "unknown device kind 'a_blender'; known: a_diffractometer",
    ),
    "two devices on one port": (
        '"serial:///dev/ttyUSB1"',
        '"serial:///dev/ttyUSB0"',
        'address = "serial:///dev/ttyUSB0"',
        "devices.mixer.address",
        "is the address of 'doser' already",
    ),
    "envelope above its class": (
        "max_temperature_c = 1100",
        "max_temperature_c = 1300",
        "max_temperature_c = 1300",
        "devices.furnace.max_temperature_c",
        "1300 °C is above 1200 °C, the limit of furnace class 'box_1200'",
    ),
    "place named twice": (
        "[places.cup]",
        "[places.pan]",
        "[places.pan]",
        "places.pan",
        "not valid TOML: Cannot",
    ),
    "key written twice": (
        "max_ramp_c_per_min = 10",
        'door = "door"',
        'door = "door"',
        "devices.furnace.door",
        "not valid TOML: Cannot overwrite a value",
    ),
    "furnace of no known class": (
        'class = "box_1200"',
        'class = "oven"',
        'class = "oven"',
        "devices.furnace.class",
        "unknown furnace class 'oven'; known: box_1100",
    ),
    "furnace without a highest setpoint": (
        "max_temperature_c = 1100\n",
        "",
        "[devices.furnace]",
        "devices.furnace.max_temperature_c",
        "a furnace needs its highest setpoint",
    ),
    "precursor that is no formula": (
        "BaCO3 = {",
        '"barium carbonate" = {',
        '"barium carbonate" = {',
        "precursors.barium carbonate",
        "'barium carbonate' is no chemical formula; write it like",
    ),
    "hydrate with a full stop": (
        "BaCO3 = {",
        '"Ni(NO3)2.6H2O" = {',
        '"Ni(NO3)2.6H2O" = {',
        "precursors.Ni(NO3)2.6H2O",
        "write the hydrate as 'Ni(NO3)2·6H2O' or 'Ni(NO3)2(H2O)6'",
    ),
    "door that is none": (
        'door = "door"',
        'door = "mixer"',
        'door = "mixer"',
        "devices.furnace.door",
        "'mixer' is no door among the devices",
    ),
    "wrong line for a kind": (
        '"tcp://10.0.0.1:29999"',
        '"serial:///dev/ttyS3"',
        'address = "serial:///dev/ttyS3"',
        "devices.arm.address",
        "a an_arm speaks tcp, not 'serial'",
    ),
    "address without a port": (
        '"tcp://10.0.0.1:29999"',
        '"tcp://10.0.0.1"',
        'address = "tcp://10.0.0.1"',
        "devices.arm.address",
        "names no port",
    ),
    "no address": (
        '"tcp://10.0.0.1:29999"',
        '"somewhere"',
        'address = "somewhere"',
        "devices.arm.address",
        "'somewhere' is no address",
    ),
    "misspelt key": (
        "door_limit_c = 150",
        "door_limt_c = 150",
        "door_limt_c = 150",
        "devices.furnace.door_limt_c",
        "unknown key; remove it, or look for a typing error",
    ),
    "missing key": (
        'kind = "a_mixer"\n',
        "",
        "[devices.mixer]",
        "devices.mixer.kind",
        "is missing",
    ),
    "number out of range": (
        "door_limit_c = 150",
        "door_limit_c = -5",
        "door_limit_c = -5",
        "devices.furnace.door_limit_c",
        "greater than 0",
    ),
    "gas that is none": (
        '"air", "O2"',
        '"air", "steam"',
        "atmospheres",
        "devices.furnace.atmospheres",
        "Input should be 'air', 'O2', 'N2', 'Ar', 'Ar/H2', 'CO2' or 'vacuum'",
    ),
    "place of an unknown device": (
        'device = "doser"',
        'device = "dozer"',
        'device = "dozer"',
        "places.pan.device",
        "'dozer' is not among the devices",
    ),
    "arm that is none": (
        'device = "mixer"\narms = ["arm"]',
        'device = "mixer"\narms = ["leg"]',
        'arms = ["leg"]',
        "places.cup.arms",
        "'leg' is no arm among the devices",
    ),
    "place named like a gripper": (
        "[places.cup]",
        "[places.arm]",
        "[places.arm]",
        "places.arm",
        "a device has this name",
    ),
    "rack that is no place": (
        "crucibles = 20",
        'crucibles = 20\nrack = "shelf"',
        'rack = "shelf"',
        "rack",
        "no place is named 'shelf'",
    ),
    "name with a capital": (
        "[places.cup]",
        "[places.Cup]",
        "[places.Cup]",
        "places.Cup",
        "should match pattern",
    ),
    "two powders in one head": (
        "mass_g = 5, head = 2",
        "mass_g = 5, head = 1",
        "TiO2",
        "precursors.TiO2.head",
        "head 1 holds 2 powders",
    ),
    "furnace without a place": (
        'device = "furnace"\n',
        "",
        "[devices.furnace]",
        "devices.furnace",
        "no place belongs to it",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_by_file_line_and_key(mistake: str, lab_text: str, load: Load) -> None:
    old, new, start, key, words = MISTAKES[mistake]
    assert old in lab_text
    text = lab_text.replace(old, new, 1)
    with pytest.raises(LabFileError) as caught:
        load(text)
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start)]
    named = [m for m in str(caught.value).splitlines() if f": {key}" in m]
    assert named, str(caught.value)
    assert words in named[0]
    # of two equal lines the second is the mistake
    assert named[0].startswith(f"lab.toml:{lines[-1]}: {key}")


def test_an_instrument_file_lies_beside_the_lab_file(
    lab_text: str, load: Load, tmp_path: Path
) -> None:
    kind = 'kind = "a_diffractometer"'
    assert kind in lab_text
    text = lab_text.replace(kind, f'{kind}\ninstrument = "optics.toml"')
    with pytest.raises(LabFileError, match=r"instrument: there is no file .*optics\.toml"):
        load(text)
    (tmp_path / "optics.toml").write_text('name = "aeris"\n', encoding="utf-8")
    files = {device.instrument for device in load(text).devices.values()}
    assert files == {None, tmp_path / "optics.toml"}
    mixer = lab_text.replace('kind = "a_mixer"', 'kind = "a_mixer"\ninstrument = "optics.toml"')
    with pytest.raises(LabFileError, match="only a diffractometer has an instrument file"):
        load(mixer)


def test_a_hydrate_is_known_by_its_plain_formula(lab_text: str, load: Load) -> None:
    lab = load(lab_text.replace("TiO2 = {", '"Ni(NO3)2·6H2O" = {'))
    assert set(lab.precursors) == {"BaCO3", "Ni(NO3)2(H2O)6"}


def test_all_mistakes_are_told_at_once(lab_text: str, load: Load) -> None:
    text = lab_text.replace('"a_mixer"', '"x"').replace("= 1100", "= 1300")
    with pytest.raises(LabFileError) as caught:
        load(text)
    assert len(str(caught.value).splitlines()) >= 2


def test_missing_and_unreadable_files(
    tmp_path: Path, small_kinds: dict[str, DeviceKind]
) -> None:
    with pytest.raises(LabFileError, match="'alab init' writes an example"):
        load_lab(tmp_path / "none.toml", small_kinds)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabFileError, match="cannot read lab file"):
        load_lab(tmp_path / "bytes.toml", small_kinds)
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(LabFileError, match=r"empty.toml:1: name: is missing"):
        load_lab(tmp_path / "empty.toml", small_kinds)


@pytest.mark.parametrize(
    "text",
    [
        "serial:///dev/ttyUSB0?unit=1",
        "tcp://192.168.10.21:29999",
        "opc.tcp://192.168.10.30:4840?part=cover",
        "tcp://10.0.0.1:8888?a=1&b=2",
    ],
)
def test_addresses_are_read_and_written_alike(text: str) -> None:
    assert str(Address.parse(text)) == text


def test_units_of_a_line_are_different_addresses(lab_text: str, load: Load) -> None:
    text = lab_text.replace('"serial:///dev/ttyUSB0"', '"serial:///dev/ttyUSB2?unit=7"')
    assert load(text).addresses()["doser"].option("unit", "1") == "7"


def test_simulation_changes_addresses_and_nothing_else(small_lab: LabDefinition) -> None:
    moved = small_lab.with_addresses({"arm": "tcp://127.0.0.1:40001"})
    assert moved.devices["arm"].address == "tcp://127.0.0.1:40001"
    assert moved.with_addresses({"arm": small_lab.devices["arm"].address}) == small_lab


def test_slots_places_and_arms(small_lab: LabDefinition) -> None:
    assert small_lab.slots("chamber") == ["chamber.1", "chamber.2"]
    assert small_lab.slots("pan") == ["pan"]
    assert small_lab.place_of("chamber.2") == "chamber"
    assert small_lab.place_at("furnace") == "chamber"
    assert small_lab.arm_for("rack.1", "chamber.2") == "arm"
    with pytest.raises(KeyError):
        small_lab.place_at("arm")


def test_no_arm_reaches_both(lab_text: str, load: Load) -> None:
    text = lab_text.replace(
        "[devices.furnace]",
        '[devices.arm_two]\nkind = "an_arm"\naddress = "tcp://10.0.0.9:1"\n\n[devices.furnace]',
    ).replace('slots = 2\narms = ["arm"]', 'slots = 2\narms = ["arm_two"]')
    with pytest.raises(LabFileError, match=r"no arm reaches rack.1 and chamber.1"):
        load(text).arm_for("rack.1", "chamber.1")
