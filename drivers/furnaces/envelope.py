"""What a heating program must keep to before a byte of it is sent."""

import math

from alab.errors import CommandRejected, InterlockError
from alab.lab import DeviceDefinition
from alab.models import Atmosphere, Profile

LONGEST_FIRING_S = 7 * 86_400.0
"""No program may keep a furnace hot for longer, ramps included."""


def check_envelope(
    device: str, definition: DeviceDefinition, profile: Profile, atmosphere: Atmosphere
) -> None:
    """Refuse a firing that the lab file does not permit on this furnace.

    Raises:
        InterlockError: Above the furnace's temperature, ramp or time limit, or a gas that
            it does not have.
        CommandRejected: If the profile makes no sense on any furnace.
    """
    if not profile.segments:
        raise CommandRejected(device, "the profile has no segment; give at least one ramp")
    limit_c = definition.max_temperature_c or 0.0
    for number, segment in enumerate(profile.segments, start=1):
        where = f"segment {number}"
        numbers = (segment.temperature_c, segment.ramp_c_per_min, segment.dwell_s)
        if not all(map(math.isfinite, numbers)):
            raise CommandRejected(device, f"{where}: {numbers} are not all finite numbers")
        if segment.temperature_c > limit_c:
            raise InterlockError(
                device,
                f"{where}: {segment.temperature_c:g} °C is above its limit of {limit_c:g} °C "
                "(max_temperature_c in the lab file); use a hotter furnace or a lower target",
            )
        if segment.ramp_c_per_min <= 0:
            raise CommandRejected(
                device,
                f"{where}: a ramp of {segment.ramp_c_per_min:g} °C/min never arrives; "
                "rates are positive, up and down",
            )
        if segment.ramp_c_per_min > definition.max_ramp_c_per_min:
            raise InterlockError(
                device,
                f"{where}: {segment.ramp_c_per_min:g} °C/min is above its limit of "
                f"{definition.max_ramp_c_per_min:g} °C/min (max_ramp_c_per_min in the lab "
                "file); ramp more slowly",
            )
        if segment.dwell_s < 0:
            raise CommandRejected(device, f"{where}: a dwell of {segment.dwell_s:g} s")
    if (total_s := profile.duration_s()) > LONGEST_FIRING_S:
        raise InterlockError(
            device,
            f"the program takes {total_s / 3600:.1f} h, the limit is "
            f"{LONGEST_FIRING_S / 3600:g} h; shorten the dwells or ramp faster",
        )
    if atmosphere not in definition.atmospheres:
        offered = ", ".join(definition.atmospheres)
        raise InterlockError(
            device, f"it cannot fire in {atmosphere}; it has {offered} ('atmospheres')"
        )
