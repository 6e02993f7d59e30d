"""Line profiles of the benchtop diffractometer, by fundamental parameters.

xrayutilities' ``FP_profile`` (Cheary, Coelho & Cline, J. Res. NIST 109, 1, 2004; Mendenhall,
Mullen & Cline, J. Res. NIST 120, 223, 2015) convolves emission, focus, flat specimen, axial
divergence, transparency, receiving slit, crystallite size and strain. Profiles change slowly
with 2θ: they are computed every 2° and interpolated between. The class is used directly, in
this process: the engine's worker processes hang when one of them dies.
"""

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xrayutilities.simpack.powder import FP_profile

Array = NDArray[np.float64]

RADIUS_MM = 145.0
KA1_ANG = 1.5405929
KA2_ANG = 1.5444274
KA2_RATIO = 0.5

_NODES_DEG = np.arange(9.0, 103.0, 2.0)
_WINDOW_DEG = 8.0
_BIN_DEG = 0.005
_LINE_WIDTH_M = {KA1_ANG: 4.5e-14, KA2_ANG: 5.6e-14}
"""Natural widths: Hölzer et al., Phys. Rev. A 56, 4554 (1997), as single Lorentzians."""

_INSTRUMENT = {
    "global": {
        "geometry": "symmetric",
        "geometry_incidence_angle": None,
        "diffractometer_radius": RADIUS_MM * 1e-3,
        "equatorial_divergence_deg": 1.0,
        "dominant_wavelength": KA1_ANG * 1e-10,
    },
    "axial": {
        "axDiv": "full",
        "slit_length_source": 12e-3,
        "slit_length_target": 9e-3,
        "length_sample": 13e-3,
        "angI_deg": 2.29,
        "angD_deg": 2.29,
        "n_integral_points": 10,
    },
    "absorption": {"absorption_coefficient": 5e4},
    "si_psd": {"si_psd_window_bounds": None},
    "receiver_slit": {"slit_width": 55e-6},
    "tube_tails": {
        "main_width": 42e-6,
        "tail_left": -1e-3,
        "tail_right": 1e-3,
        "tail_intens": 1e-3,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grains:
    """What the crystallites of a phase do to its lines.

    Attributes:
        size_nm: Volume-weighted size (Lorentzian).
        strain_percent: Micro-strain (Lorentzian), full width Δd/d.
    """

    size_nm: float
    strain_percent: float


class Profiles:
    """Profiles of one phase at every angle, for Kα₁ and Kα₂.

    Args:
        shapes: Profiles of unit area at the nodes, by wavelength, each (nodes, bins).
    """

    def __init__(self, shapes: dict[float, Array]) -> None:
        self._shapes = shapes

    def draw(
        self, pattern: Array, start_deg: float, step_deg: float, lines: "DrawnLines"
    ) -> None:
        """Add lines to a pattern.

        Args:
            pattern: Counts on an even grid; added to in place.
            start_deg: 2θ of its first point.
            step_deg: Distance of its points.
            lines: What to draw.
        """
        shapes = self._shapes[lines.wavelength_ang]
        centre = shapes.shape[1] // 2
        half = int((_WINDOW_DEG / 2 - 2 * _BIN_DEG) / step_deg)
        for two_theta_deg, area in zip(lines.two_theta_deg, lines.area, strict=True):
            nearest = round((two_theta_deg - start_deg) / step_deg)
            first, last = max(0, nearest - half), min(len(pattern), nearest + half + 1)
            if first >= last:
                continue
            node = min(max((two_theta_deg - _NODES_DEG[0]) / 2.0, 0.0), len(_NODES_DEG) - 1.001)
            low, part = int(node), node - int(node)
            shape = shapes[low] * (1.0 - part) + shapes[low + 1] * part
            grid_deg = start_deg + step_deg * np.arange(first, last)
            at = (grid_deg - two_theta_deg) / _BIN_DEG + centre
            left = at.astype(int)
            share = at - left
            pattern[first:last] += area * (
                shape[left] * (1.0 - share) + shape[left + 1] * share
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLines:
    """Lines of one wavelength.

    Attributes:
        wavelength_ang: Whose shape the lines have: ``KA1_ANG`` or ``KA2_ANG``.
        two_theta_deg: Where they are, displacement included.
        area: Counts·degree under each.
    """

    wavelength_ang: float
    two_theta_deg: Array
    area: Array


class Optics:
    """The engine's convolvers at every node; what does not change is computed once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes = [_convolvers(float(node_deg)) for node_deg in _NODES_DEG]

    def profiles(self, grains: Grains) -> Profiles:
        """Profiles of a phase with such grains."""
        with self._lock:
            return Profiles(
                {
                    wavelength: np.array(
                        [_shape(node, wavelength, grains) for node in self._nodes]
                    )
                    for wavelength in (KA1_ANG, KA2_ANG)
                }
            )


@cache
def optics() -> Optics:
    """The optics of the instrument."""
    return Optics()


def _convolvers(node_deg: float) -> FP_profile:
    profile = FP_profile(anglemode="twotheta", gaussian_smoother_bins_sigma=1.0, oversampling=4)
    profile.debug_cache = False
    profile.set_window(
        twotheta_output_points=round(_WINDOW_DEG / _BIN_DEG),
        twotheta_window_center_deg=node_deg,
        twotheta_window_fullwidth_deg=_WINDOW_DEG,
    )
    for convolver, settings in _INSTRUMENT.items():
        profile.set_parameters(convolver=convolver, **settings)
    profile.set_parameters(convolver="global", twotheta0_deg=node_deg)
    return profile


def _shape(node: FP_profile, wavelength_ang: float, grains: Grains) -> Array:
    """Profile of unit area on the bins of a node, offset so that the middle bin is Bragg's."""
    node.set_parameters(convolver="global", dominant_wavelength=wavelength_ang * 1e-10)
    node.set_parameters(
        convolver="emission",
        emiss_wavelengths=(wavelength_ang * 1e-10,),
        emiss_intensities=(1.0,),
        emiss_gauss_widths=(1e-15,),
        emiss_lor_widths=(_LINE_WIDTH_M[wavelength_ang],),
        crystallite_size_lor=grains.size_nm * 1e-9,
        crystallite_size_gauss=1e10,
        strain_lor=2.0 * np.degrees(grains.strain_percent / 100.0),
        strain_gauss=0.0,
        preferred_orientation=(0, 0, 0),
        preferred_orientation_factor=1,
    )
    # A remembered emission comes without its Lorentzian width, which the engine needs later.
    node.convolution_history["conv_emission"].clear()
    result: Any = node.compute_line_profile()  # its attributes are set by name
    bins_deg = node.param_dicts["conv_global"]["twotheta0_deg"] + _BIN_DEG * (
        np.arange(len(result.peak)) - len(result.peak) // 2
    )
    peak = np.interp(bins_deg, result.twotheta_deg, result.peak)
    return peak / (peak.sum() * _BIN_DEG)
