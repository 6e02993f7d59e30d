"""Write a scan the way the benchtop diffractometer does: XRDML 2.3."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

_NAMESPACE = "http://www.xrdml.com/XRDMeasurement/2.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A stored measurement program.

    Attributes:
        start_deg: First 2θ.
        end_deg: Last 2θ.
        points: Number of points.
        duration_s: Time from start to end.
        counting_time_s: Time that each point is seen by the strip detector.
    """

    start_deg: float
    end_deg: float
    points: int
    duration_s: float
    counting_time_s: float

    @property
    def step_deg(self) -> float:
        """Distance of the points."""
        return (self.end_deg - self.start_deg) / (self.points - 1)


def write_xrdml(
    *,
    sample: str,
    program: Program,
    counts: NDArray[np.int_],
    started_at: datetime,
    record: str,
) -> bytes:
    """One finished scan as a file.

    Args:
        sample: Sample identifier, as typed into the instrument.
        program: What was measured.
        counts: Counts of each point, shape (points,).
        started_at: Aware stamp of the start.
        record: Identifier of the file, a GUID.
    """
    ended_at = started_at + timedelta(seconds=program.duration_s)
    values = " ".join(str(int(count)) for count in counts)
    text = f"""<?xml version="1.0"?>
<xrdMeasurements xmlns="{_NAMESPACE}" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}/XRDMeasurement.xsd" \
status="Completed" recordIdentifier="{{{record}}}">
	<comment>
		<entry/>
	</comment>
	<sample type="To be analyzed">
		<id>{escape(sample)}</id>
		<name></name>
		<preparedBy></preparedBy>
	</sample>
	<xrdMeasurement measurementType="Scan" status="Completed" sampleMode="Reflection">
{_OPTICS}
		<scan appendNumber="0" mode="Continuous" scanAxis="Gonio" status="Completed">
			<header>
				<startTimeStamp>{started_at.isoformat(timespec="seconds")}</startTimeStamp>
				<endTimeStamp>{ended_at.isoformat(timespec="seconds")}</endTimeStamp>
				<author>
					<name>AutomatedUser</name>
				</author>
				<source>
					<applicationSoftware version="1.7b (136)">PANalytical Aeris Instrument \
Suite</applicationSoftware>
					<instrumentControlSoftware version="3.2.00000000 20240306">AERIS\
</instrumentControlSoftware>
					<instrumentID>0</instrumentID>
				</source>
			</header>
			<dataPoints>
				<positions axis="2Theta" unit="deg">
					<startPosition>{program.start_deg:.8f}</startPosition>
					<endPosition>{program.end_deg:.8f}</endPosition>
				</positions>
				<positions axis="Omega" unit="deg">
					<startPosition>{program.start_deg / 2:.8f}</startPosition>
					<endPosition>{program.end_deg / 2:.8f}</endPosition>
				</positions>
				<commonCountingTime unit="seconds">{program.counting_time_s:.3f}\
</commonCountingTime>
				<counts unit="counts">{values}</counts>
			</dataPoints>
		</scan>
	</xrdMeasurement>
</xrdMeasurements>
"""
    return ("\ufeff" + text).encode("utf-8")


_OPTICS = """\
		<usedWavelength intended="K-Alpha 1">
			<kAlpha1 unit="Angstrom">1.5405980</kAlpha1>
			<kAlpha2 unit="Angstrom">1.5444260</kAlpha2>
			<kBeta unit="Angstrom">1.3922500</kBeta>
			<ratioKAlpha2KAlpha1>0.5000</ratioKAlpha2KAlpha1>
		</usedWavelength>
		<incidentBeamPath>
			<radius unit="mm">145.00</radius>
			<xRayTube id="1010048" name="Empyrean Cu LFF HR">
				<tension unit="kV">40.0</tension>
				<current unit="mA">15.0</current>
				<anodeMaterial>Cu</anodeMaterial>
				<focus type="Line">
					<length unit="mm">12.0</length>
					<width unit="mm">0.4</width>
					<takeOffAngle unit="deg">6.0</takeOffAngle>
				</focus>
			</xRayTube>
			<sollerSlit id="21010002" name="Soller slits 0.04 rad.">
				<opening unit="rad">0.0400</opening>
			</sollerSlit>
			<mask id="22031000" name="Fixed mask 13 mm">
				<width unit="mm">9.00</width>
			</mask>
			<divergenceSlit id="22120001" name="Divergence slit 1°" \
xsi:type="fixedDivergenceSlitType">
				<distanceToSample unit="mm">50.00</distanceToSample>
				<height unit="mm">1.52</height>
			</divergenceSlit>
		</incidentBeamPath>
		<sampleMovement xsi:type="spinningSampleMovementType">
			<spinnerRevolutionTime unit="seconds">1.0</spinnerRevolutionTime>
		</sampleMovement>
		<diffractedBeamPath>
			<radius unit="mm">145.00</radius>
			<antiScatterSlit id="22090040" name="AS slit 9 mm (PIXcel)" \
xsi:type="fixedAntiScatterSlitType">
				<height unit="mm">9.00</height>
			</antiScatterSlit>
			<sollerSlit id="21020003" name="Large Soller slits 0.04 rad.">
				<opening unit="rad">0.0400</opening>
			</sollerSlit>
			<filter id="20030001" name="Large beta-filter Nickel">
				<material>Ni</material>
				<thickness unit="mm">0.020</thickness>
			</filter>
			<detector id="7010019" name="PIXcel1D-Medipix3 detector" \
xsi:type="rtmsDetectorType">
				<phd unit="keV">
					<lowerLevel>4.02</lowerLevel>
					<upperLevel>11.27</upperLevel>
				</phd>
				<mode>Scanning</mode>
				<activeLength unit="deg">5.542</activeLength>
			</detector>
		</diffractedBeamPath>"""
