"""Make the table of partition functions and formation energies of the equation of state, `synthesis/partition.csv`.

    python benchmarks/partition_functions.py --atoms table8.dat --molecules table6.dat --water 1H2-16O.pf \\
        --ionisation NIST_Atomic_Ionization_Energies.txt --output src/bayne/synthesis/partition.csv

Inputs: partition functions of atoms and of diatomic molecules as published by Barklem & Collet (2016, A&A 588, A96,
Tables 8 and 6), that of water from ExoMol (Polyansky et al. 2018, MNRAS 480, 2597), ionisation energies from the form
of the NIST Atomic Spectra Database. Each partition function becomes T^power times a sum of a few Boltzmann factors
with positive weights, found by non-negative least squares on the relative error.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from bayne.synthesis.species import SYMBOLS, Species, parse_species

BOLTZMANN = 8.617333262e-5  # eV/K, CODATA 2018
LOW, HIGH = 1000.0, 10000.0  # K, the fitted range
#: Powers of T to choose from: 1 of a linear rotator, 3/2 of others, less at temperatures where levels are few.
ROTATION = tuple(np.round(np.arange(0.80, 1.001, 0.01), 2))
ROTATION_3 = tuple(np.round(np.arange(1.30, 1.501, 0.01), 2))

#: Temperatures of the published Table 8, K.
TEMPERATURES = np.array(
    [
        *(1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.3, 1.7, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100),
        *(130, 170, 200, 250, 300, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000),
    ]
)

#: Dissociation energies D0 in eV into neutral atoms (of H2+ into H and H+): those that Barklem & Collet adopted
#: (most from Luo 2007, Comprehensive Handbook of Chemical Bond Energies; NH from Tarroni et al. 1997), but for
#: C2: 602.804 kJ/mol, Borsovszky et al. (2021, PNAS 118, e2113315118); MgH: Shayesteh et al. (2007, J. Phys. Chem. A
#: 111, 12495); CaH: Huber & Herzberg (1979), for Luo's 2.28 is far from that.
DISSOCIATION = {
    "H2": 4.478007,
    "H2+": 2.650639,
    "CH": 3.4696,
    "NH": 3.419,
    "OH": 4.4171,
    "C2": 6.2476,
    "CN": 7.737,
    "CO": 11.117,
    "N2": 9.75394,
    "NO": 6.50771,
    "O2": 5.11642,
    "MgH": 1.28517,
    "SiH": 3.040,
    "CaH": 1.70,
    "FeH": 1.497,
    "SiO": 8.183,
    "TiO": 6.869,
    "VO": 6.566,
    "ZrO": 7.901,
}
#: H2O -> H + H + O in eV: 917.7 kJ/mol from the enthalpies of formation at 0 K, NIST CCCBDB (Johnson 2022, release 22).
WATER = 9.511
#: Electron affinity of hydrogen in eV: Lykke, Murray & Lineberger (1991, Phys. Rev. A 43, 6104).
H_MINUS = 0.754195

HEADER = """\
# Partition functions and formation energies of atoms, ions and molecules; made by benchmarks/partition_functions.py.
# energy: eV to form the species from neutral atoms, all in their ground states: sum of ionisation energies (NIST Atomic
#   Spectra Database, Kramida et al., January 2022), minus the electron affinity (Lykke, Murray & Lineberger 1991, Phys.
#   Rev. A 43, 6104), minus the dissociation energy D0 (as adopted by Barklem & Collet 2016, A&A 588, A96, but for C2:
#   Borsovszky et al. 2021, PNAS 118, e2113315118; MgH: Shayesteh et al. 2007, J. Phys. Chem. A 111, 12495; CaH: Huber &
#   Herzberg 1979, Constants of Diatomic Molecules; H2O: enthalpies of formation at 0 K in NIST CCCBDB release 22).
# power, levels: U = T^power sum g exp(-E / kT), T in K, with pairs g, E (eV). They are not real levels but a fit, by
#   non-negative least squares, to Barklem & Collet (2016), atoms in Table 8, diatomic molecules in Table 6 (no nuclear
#   spins; halved where the nuclei are equal; as resampled to 1e-4 in log U by the SME library, Piskunov & Valenti 2017,
#   A&A 597, A16), from 1000 to 10,000 K, and to that of water in ExoMol (Polyansky et al. 2018, MNRAS 480, 2597;
#   divided by 4 for nuclear spins) from 1000 to 6000 K. Largest relative errors of the fit:
#   {atoms:.0e} (atoms and ions), {molecules:.0e} (molecules). Bare nuclei and H-: 1.
"""


def fit(
    temperature: np.ndarray, partition: np.ndarray, powers: tuple[float, ...], highest: float
) -> tuple[float, np.ndarray, np.ndarray, float]:
    """Power, weights, energies up to `highest` in eV, and largest relative error of T^power Σ g exp(-E / kT)."""
    used = (temperature >= LOW) & (temperature <= HIGH)
    t = temperature[used]
    energies = np.concatenate([[0.0], np.geomspace(0.01, highest, 200)])
    best = []
    for power in powers:
        u = partition[used] / t**power
        matrix = np.exp(-energies / (BOLTZMANN * t[:, None])) / u[:, None]
        weights, _ = nnls(matrix, np.ones_like(u))
        chosen = weights > 0
        weights = np.array([float(f"{w:.6g}") for w in weights[chosen]])
        error = float(np.max(np.abs(matrix[:, chosen] @ weights - 1)))
        best.append((error, power, weights, energies[chosen]))
    error, power, weights, energies = min(best, key=lambda one: one[0])
    return power, weights, energies, error


def ionisation(path: Path) -> dict[tuple[int, int], float]:
    """Ionisation energy in eV by atomic number and charge before ionisation."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) > 5 and fields[0].isdigit() and re.fullmatch(r"[\[(]?[\d.]+[\])]?", fields[4]):
            symbol = fields[1].split()[0]
            if int(fields[0]) < len(SYMBOLS) and symbol == SYMBOLS[int(fields[0])]:
                found[int(fields[0]), int(fields[2])] = float(fields[4].strip("[]()"))
    return found


def rows(arguments: argparse.Namespace) -> list[tuple[Species, float, float, np.ndarray, np.ndarray, float]]:
    """Species, formation energy, power, weights, energies and error of each row."""
    table = {}
    for line in arguments.atoms.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if len(fields) == len(TEMPERATURES) + 1:
            table[fields[0]] = np.array(fields[1:], dtype=float)
    energy = ionisation(arguments.ionisation)
    found = []
    for z in range(1, 93):
        total = 0.0
        for charge, roman in enumerate(("I", "II", "III")):
            if charge:
                if (z, charge - 1) not in energy:
                    break
                total += energy[z, charge - 1]
            name = f"{SYMBOLS[z]}_{roman}"
            if name not in table:
                if charge == z:  # a bare nucleus
                    found.append((Species((z,), charge), total, 0.0, np.ones(1), np.zeros(1), 0.0))
                break
            found.append(
                (Species((z,), charge), total, *fit(TEMPERATURES, table[name], (0.0,), energy.get((z, charge), 14.0)))
            )
    found.append((Species((1,), -1), -H_MINUS, 0.0, np.ones(1), np.zeros(1), 0.0))
    lines = arguments.molecules.read_text(encoding="utf-8").splitlines()
    grid = next(line.split() for line in lines if line.startswith("T [K]"))
    temperature = np.array(grid[2:], dtype=float)
    for line in lines:
        fields = line.split()
        if fields and fields[0] in DISSOCIATION:
            formed = -DISSOCIATION[fields[0]] + (energy[1, 0] if fields[0] == "H2+" else 0.0)
            partition = np.array(fields[1:], dtype=float)
            found.append((parse_species(fields[0]), formed, *fit(temperature, partition, ROTATION, 14.0)))
    water = np.loadtxt(arguments.water)
    water = water[water[:, 0] <= 6000]  # where its levels are complete; there is none of it at higher temperatures
    # ExoMol counts nuclear spins: 4 states of the two protons.
    found.append((parse_species("H2O"), -WATER, *fit(water[:, 0], water[:, 1] / 4, ROTATION_3, 14.0)))
    return found


def main() -> None:
    """Write the table and say how well it fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("atoms", "molecules", "water", "ionisation", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    found = rows(arguments)
    worst = {
        kind: max(row[-1] for row in found if row[0].is_molecule == (kind == "molecules"))
        for kind in ("atoms", "molecules")
    }
    text = HEADER.format(**worst) + "species,energy,power,levels\n"
    for species, formed, power, weights, energies, _ in found:
        levels = " ".join(f"{g:.6g} {e:.6g}" for g, e in zip(weights, energies, strict=True))
        text += f"{species.name},{formed:.9g},{power:g},{levels}\n"
    arguments.output.write_text(text, encoding="utf-8")
    for species, *_, error in sorted(found, key=lambda row: -row[-1])[:12]:
        print(f"{species.name:6s} {error:.1e}")
    print(len(found), "species;", max(len(row[3]) for row in found), "terms at most")


if __name__ == "__main__":
    main()
