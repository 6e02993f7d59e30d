"""Messages of the Aeris driver, and which result files it takes."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alab.clock import VirtualClock
from alab.errors import DeviceFault, MalformedReply
from drivers.diffractometers.aeris_uai import AerisUai, objection_to

STARTED_AT = datetime(2024, 11, 21, 16, 0, 38, tzinfo=UTC)


class Transcript:
    """A line that insists on one conversation."""

    banner = b""

    def __init__(self, *conversation: tuple[bytes, bytes]) -> None:
        self.conversation = list(conversation)

    async def exchange(self, line: bytes, *, timeout_s: float) -> bytes:
        assert timeout_s > 0
        expected, reply = self.conversation.pop(0)
        assert line == expected
        return reply


def aeris(line: Transcript, share: Path | None = None, offset: int = 0) -> AerisUai:
    return AerisUai("xrd", line, share, offset, VirtualClock())  # type: ignore[arg-type]


async def test_the_messages_of_a_scan(tmp_path: Path) -> None:
    line = Transcript(
        (b"@STATUS_REQUEST@SYSTEM", b"@STATUS@SYSTEM=remote"),
        (b"@STATUS_REQUEST@UNIT=xrd", b"@STATUS@UNIT=xrd@READY=yes"),
        (b"@STATUS_REQUEST@LOCATION=0,4", b"@STATUS@LOCATION=0,4@STATE=occupied"),
        (b"@SAMPLE@ADD@APPLICATION=alab_8min@SAMPLE_ID=S7@AT=0,4", b"@SAMPLE@ok"),
        (b"@SAMPLE@MEASURE@SAMPLE_ID=S7@APPLICATION=alab_8min", b"@SAMPLE@ok"),
    )
    xrd = aeris(line, tmp_path, offset=1)
    await xrd.start_scan(sample="S7", position=3, program="alab_8min")
    assert line.conversation == []


async def test_fields_may_end_at_line_ends() -> None:
    line = Transcript((b"@STATUS_REQUEST@UNIT=xrd", b"@STATUS\r\nUNIT=xrd\r\nREADY=yes\r\n"))
    assert await aeris(line).measuring() is None


async def test_a_status_the_manual_does_not_have() -> None:
    line = Transcript((b"@STATUS_REQUEST@UNIT=xrd", b"@STATUS@UNIT=xrd@READY=perhaps"))
    with pytest.raises(MalformedReply, match="perhaps"):
        await aeris(line).measuring()


async def test_a_fatal_status_is_a_fault() -> None:
    line = Transcript((b"@STATUS_REQUEST@UNIT=xrd", b"@STATUS@ERROR=FATAL: tube off"))
    with pytest.raises(DeviceFault, match="tube off"):
        await aeris(line).measuring()


def xrdml(*, sample: str = "S7", started_at: str = "2024-11-21T08:00:38-08:00") -> bytes:
    return (
        '<?xml version="1.0"?><xrdMeasurements '
        'xmlns="http://www.xrdml.com/XRDMeasurement/2.3" status="Completed">'
        f"<sample><id>{sample}</id></sample><xrdMeasurement><scan status='Completed'>"
        f"<header><startTimeStamp>{started_at}</startTimeStamp></header>"
        "<dataPoints><counts>1 2 3</counts></dataPoints></scan></xrdMeasurement>"
        "</xrdMeasurements>"
    ).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not there"),
        (b"", "cut off"),
        (xrdml()[:-30], "cut off"),
        (xrdml(sample="S6"), "belongs to S6"),
        (xrdml(sample=""), "belongs to nobody"),
        (xrdml(started_at="2024-11-21T07:00:38-08:00"), "earlier scan"),
        (xrdml(started_at="yesterday"), "no start time"),
        (xrdml().replace(b"'Completed'", b"'Aborted'"), "no completed scan"),
        (xrdml().replace(b"1 2 3", b""), "no counts"),
    ],
)
def test_files_that_are_not_the_one(content: bytes | None, said: str) -> None:
    assert said in objection_to(content, "S7", STARTED_AT)


def test_the_one_file() -> None:
    assert objection_to(xrdml(), "S7", STARTED_AT) == ""


def test_a_file_of_the_real_instrument() -> None:
    root = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[5] / "shared" / "data"))
    path = root / "xrd/dara_precursor_mixtures/In2O3_0p5002-MnCO3_0p5000--8min.xrdml"
    if not path.exists():
        pytest.skip(f"no measured patterns at {root}; set ALAB_DATA")
    content = path.read_bytes()
    assert objection_to(content, "Dara_redo_3_manual", STARTED_AT) == ""
    assert "earlier scan" in objection_to(content, "Dara_redo_3_manual", datetime.now(UTC))
