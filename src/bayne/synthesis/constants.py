"""Constants of physics in cgs units: CODATA 2018 (Tiesinga et al. 2021, Rev. Mod. Phys. 93, 025010)."""

from __future__ import annotations

#: Exact by definition: erg/K, erg s, cm/s, erg per eV.
BOLTZMANN, PLANCK, LIGHT, EV = 1.380649e-16, 6.62607015e-27, 2.99792458e10, 1.602176634e-12

#: Atomic mass unit and mass of the electron (g), elementary charge (statC), Bohr radius (cm).
DALTON, ELECTRON, CHARGE, BOHR = 1.66053906660e-24, 9.1093837015e-28, 4.803204712570263e-10, 5.29177210903e-9

#: Boltzmann's constant in eV/K; h c / k in Å K; h c in eV Å.
BOLTZMANN_EV, HC_K, HC_EV = BOLTZMANN / EV, 1e8 * PLANCK * LIGHT / BOLTZMANN, 1e8 * PLANCK * LIGHT / EV
