"""Writes line lists in the forms in which VALD answers."""

from __future__ import annotations

from dataclasses import dataclass

SCALED = "* oscillator strengths were scaled by the solar isotopic ratios.\n"
UNSCALED = "* oscillator strengths were NOT scaled by the solar isotopic ratios.\n"

ABUNDANCES = """'castelli_ap00k2_T05750G45.krz',
'H :  0.92','He: -1.11',
'Li:-10.94','Be:-10.64','B : -9.49','C : -3.52','N : -4.12','O : -3.21',
'Es:-20.00','END'
"""


@dataclass(frozen=True)
class Row:
    """One line of a list: species, Å, eV, log gf, damping, and what the references say of the isotopes."""

    species: str
    wavelength: float
    energy: float
    log_gf: float
    rad: float = 0.0
    stark: float = 0.0
    vdw: float = 0.0
    isotopes: str = ""


#: From the examples of the VALD wiki (VALD3_accuracy), air wavelengths; TiO and CN made up.
ROWS = (
    Row("Fe 1", 5166.2816, 0.0, -4.195, 3.160, -6.280, 204.253, "Fe"),
    Row("Mg 1", 5167.3216, 2.7091, -0.931, 7.990, -5.470, 729.238, "Mg"),
    Row("Fe 1", 5167.7176, 3.4149, -2.814, 8.020, -6.060, -7.770, "Fe"),
    Row("Nd 2", 5167.92, 0.5595, -1.180, 0.0, 0.0, 0.0, "Nd+"),
    Row("TiO 1", 5168.0, 0.3, -1.0, 7.0, 0.0, 0.0, "(48)TiO"),
    Row("CN 1", 5168.5, 0.2895, -1.131, 7.180, 0.0, 0.0, "(12)C(14)N"),
)


def vald(
    rows: tuple[Row, ...] = ROWS,
    *,
    long: bool = False,
    stellar: bool = False,
    medium: str = "_air",
    unit: str = "A",
    wavenumbers: bool = False,
    quoted_terms: bool = True,
    remark: str = SCALED,
    declared: int | None = None,
) -> str:
    """Text of a list."""
    wave, energy = f"WL{medium}({unit})", "cm^-1" if wavenumbers else "eV"
    if long:
        heading = f"Elm Ion       {wave}  log gf* E_low({energy}) J lo  E_up({energy}) J up   lower   upper    mean"
        heading += "   Rad.  Stark    Waals" + ("  depth" if stellar else "")
        above = "                                                    Lande factors        Damping parameters"
    else:
        heading = (
            f"Elm Ion       {wave} Excit({energy}){' Vmic' if stellar else ''} log gf*   Rad.  Stark    Waals factor "
        )
        heading += "  depth  Reference" if stellar else "  References"
        above = "                                             Damping parameters   Lande"
    text = f"{above}\n{heading}\n" + "".join(_line(row, long, stellar, unit, wavenumbers, quoted_terms) for row in rows)
    if stellar:
        count = len(rows) if declared is None else declared
        head = " 5160.00000, 5170.00000, {}, 7000, 1.0 Wavelength region, lines selected, lines processed, Vmicro\n"
        text = head.format(count) + text + ABUNDANCES
    return text + remark + " References:\n  1. Kurucz obs. energy level: Fe 1\n  2. Wisconsin exp. data (GC+NIST)\n"


def _line(row: Row, long: bool, stellar: bool, unit: str, wavenumbers: bool, quoted: bool) -> str:
    wave = row.wavelength / (10.0 if unit == "nm" else 1.0)
    energy = row.energy * (8065.543937 if wavenumbers else 1.0)
    damping = f"{row.rad:6.3f},{row.stark:6.3f},{row.vdw:8.3f}"
    depth = " 0.018," if stellar else ""
    references = f"   7 wl:K14   7 K14   7 gf:K14   7 K14   7 K14   7 K14   7 K14    {row.isotopes}"
    start = f"'{row.species}',{wave:16.6f}"
    if not long:
        vmic = " 1.0," if stellar else ""
        return f"{start},{energy:11.4f},{vmic}{row.log_gf:7.3f},{damping}, 99.000,{depth}'{references} '\n"
    mark = "'" if quoted else ""
    levels = f"{energy:11.4f},  2.0,{energy + 2:11.4f},  3.0, 1.600, 1.500, 1.310"
    return (
        f"{start},{row.log_gf:8.3f},{levels},{damping},{depth}\n"
        f"{mark}  LS                                        3d6.4s2 a5D{mark}\n"
        f"{mark}  LS                          3d6.(5D).4s.4p.(3P*) z7P*{mark}\n"
        f"'_          Kurucz Fe I 2014{references}'\n"
    )
