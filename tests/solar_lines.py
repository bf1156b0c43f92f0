"""Lines of the Sun whose equivalent widths are known, with the data of the GALAH DR3 line list."""

from __future__ import annotations

import numpy as np

from bayne.synthesis.linelist import LineList
from bayne.synthesis.species import parse_species
from bayne.wavelength import to_vacuum

#: Air wavelength (Å), species, log gf, lower level (eV), log10 of the radiative and Stark widths, and for collisions
#: with hydrogen the packed cross section of Anstee, Barklem and O'Mara, or log10 of the width (Buder et al. 2021, MNRAS
#: 506, 150, table of lines); with what blends with it.
LINES = (
    (4788.757, "Fe I", -1.763, 3.237, 7.42, -5.87, 238.249),
    (4799.406, "Fe I", -2.130, 3.640, 7.96, -6.03, 353.241),
    (4802.875, "Fe I", -2.028, 3.695, 7.61, -6.17, -7.80),
    (4802.880, "Fe I", -1.510, 3.642, 7.96, -6.03, 356.244),
    (4808.148, "Fe I", -2.690, 3.251, 8.20, -5.85, 297.274),
    (4810.528, "Zn I", -0.160, 4.078, 7.98, -5.25, 676.238),
)

#: Equivalent widths in the Sun (mÅ) at air wavelengths (Å), as published for its disc-integrated spectrum, rounded.
WIDTHS = {4788.76: 65.0, 4799.41: 36.0, 4802.88: 60.0, 4808.15: 27.0, 4810.53: 73.0}


def solar_lines() -> LineList:
    """The lines as a line list."""
    air, names, log_gf, energy, rad, stark, vdw = zip(*LINES, strict=True)
    species = tuple(sorted({parse_species(name) for name in names}))
    packed = np.array(vdw)
    sigma = np.where(packed > 0, np.floor(packed), 0.0)
    return LineList(
        wavelength=to_vacuum(np.array(air), "air"),
        species=species,
        kind=np.array([species.index(parse_species(name)) for name in names]),
        isotopes=((0,),),
        isotope=np.zeros(len(LINES), dtype=int),
        log_gf=np.array(log_gf),
        energy=np.array(energy),
        gamma_rad=10 ** np.array(rad),
        gamma_stark=10 ** np.array(stark),
        vdw_sigma=sigma,
        vdw_alpha=np.where(packed > 0, packed - sigma, 0.0),
        gamma_vdw=np.where(packed > 0, 0.0, 10 ** np.minimum(packed, 0.0)),
    )


def widths(wavelength: np.ndarray, normalised: np.ndarray) -> dict[float, float]:
    """Equivalent widths (mÅ) of the lines of `WIDTHS`, integrated 0.25 Å to either side."""
    found = {}
    for air in WIDTHS:
        near = np.abs(wavelength - to_vacuum(np.array([air]), "air")) < 0.25
        found[air] = 1000 * float(np.trapezoid(1 - normalised[near], wavelength[near]))
    return found
