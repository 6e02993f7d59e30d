"""Powders that a solid-state laboratory is likely to have: a shelf to plan from."""

COMMON_POWDERS: tuple[str, ...] = (
    "Li2CO3", "Na2CO3", "K2CO3", "Rb2CO3", "Cs2CO3",
    "MgO", "CaCO3", "SrCO3", "BaCO3",
    "Sc2O3", "Y2O3", "La2O3", "CeO2", "Pr6O11", "Nd2O3", "Sm2O3", "Eu2O3", "Gd2O3", "Tb4O7",
    "Dy2O3", "Ho2O3", "Er2O3", "Tm2O3", "Yb2O3", "Lu2O3",
    "TiO2", "ZrO2", "HfO2", "V2O5", "Nb2O5", "Ta2O5", "Cr2O3", "MoO3", "WO3",
    "MnO2", "Mn2O3", "MnCO3", "Fe2O3", "Co3O4", "NiO", "CuO", "ZnO",
    "H3BO3", "Al2O3", "Ga2O3", "In2O3", "SiO2", "GeO2", "SnO2", "PbO", "Sb2O3", "Bi2O3",
    "NH4H2PO4", "(NH4)2HPO4", "TeO2",
)  # fmt: skip
"""The usual oxide, carbonate or ammonium salt of each element, most of them air-stable."""
