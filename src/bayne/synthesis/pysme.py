"""The careful synthesis: PySME (Wehrhahn, Piskunov & Ryabchikova 2023, A&A 671, A171), with embedded atmospheres."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ..errors import BayneError
from ..precision import double
from ..spectrum import FloatArray
from .atmosphere import Atmosphere
from .constants import BOLTZMANN
from .gas import equilibrium
from .linelist import LineList
from .lte import log_tau_5000
from .species import SYMBOLS
from .synthesiser import Synthesiser, register

#: Balmer lines: vacuum Å, quantum number of the upper level, oscillator strength (Wiese & Fuhr 2009, J. Phys. Chem.
#: Ref. Data 38, 565). PySME takes their profiles from tables, by the quantum numbers in the places of two dampings.
_BALMER = ((6564.61, 3, 0.64108), (4862.69, 4, 0.11938), (4341.69, 5, 0.044694), (4102.90, 6, 0.022105))

#: Energy of the level n = 2 of hydrogen (eV; NIST), and its statistical weight.
_N2, _G2 = 10.1988, 8

#: Balmer lines this far from a window (Å) are kept.
_WINGS = 100.0


@register
class PySME(Synthesiser):
    """PySME in LTE. Line data are those of the list; Balmer lines are added; lines that do not show are left out."""

    name: ClassVar[str] = "pysme"

    def __init__(self, lines: LineList, wavelength: Sequence[FloatArray]) -> None:
        super().__init__(lines, wavelength)
        try:
            from pysme.linelist.linelist import LineList as Theirs
            from pysme.synthesize import Synthesizer
        except ImportError:
            raise BayneError("the synthesiser 'pysme' needs an extra: pip install 'bayne[synthesis]'") from None
        logging.getLogger("pysme").setLevel(logging.ERROR)
        self._lines = Theirs(_table(lines, self.windows), lineformat="short", medium="vac")
        self._engine = Synthesizer()

    def synthesise(self, atmosphere: Atmosphere, abundance: FloatArray, vmic: float) -> tuple[FloatArray, FloatArray]:
        """See `Synthesiser`."""
        from pysme.abund import Abund, elements
        from pysme.sme import SME_Structure

        sme = SME_Structure()
        sme.teff, sme.logg, sme.monh, sme.vmic = atmosphere.teff, atmosphere.logg, 0.0, vmic
        known = {symbol: 12 + np.log10(n) for symbol, n in zip(SYMBOLS, abundance, strict=True) if n > 0}
        pattern = {symbol: known.get(symbol, np.nan) for symbol in elements}
        sme.abund = Abund(monh=0.0, pattern=pattern, type="H=12")
        sme.atmo = _embedded(atmosphere, abundance, pattern)
        sme.linelist = self._lines
        sme.wave = self.windows
        # its library writes files where it runs
        with TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            made = self._engine.synthesize_spectrum(sme)
        continuum = np.concatenate([np.asarray(part) for part in made.cont])
        return np.concatenate([np.asarray(part) for part in made.synth]) * continuum, continuum


@double
def _embedded(model: Atmosphere, abundance: FloatArray, pattern: dict[str, float]) -> Any:
    """PySME's form of a model; what that lacks, `equilibrium` gives."""
    from pysme.atmosphere.atmosphere import Atmosphere as Theirs

    share = jnp.asarray(abundance)
    gas = equilibrium(jnp.asarray(model.temperature), jnp.asarray(model.pressure), share)
    thermal = BOLTZMANN * model.temperature
    electrons = np.where(np.isfinite(model.electron_pressure), model.electron_pressure / thermal, gas.electrons)
    return Theirs(
        teff=model.teff,
        logg=model.logg,
        abund=pattern,
        abund_format="H=12",
        vturb=0.0,
        lonh=0.0,
        wlstd=5000.0,
        depth="TAU",
        interp="TAU",
        geom="PP",
        method="embedded",
        source=model.name,
        tau=10 ** np.asarray(log_tau_5000(model, share)),
        rhox=np.where(np.isfinite(model.column), model.column, 1.0),
        temp=model.temperature,
        rho=np.where(np.isfinite(model.density), model.density, gas.density),
        xne=electrons,
        xna=model.pressure / thermal - electrons,
    )


def _table(lines: LineList, windows: Sequence[FloatArray]) -> Any:
    """PySME's table of lines: logarithms of dampings, 0 for none, packed ABO where there is one."""
    import pandas as pd

    def log(values: FloatArray) -> FloatArray:
        return np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), 0.0)

    species = [lines.species[k] for k in lines.kind]
    table = {
        "species": [
            f"{s.name if s.is_molecule else SYMBOLS[s.atoms[0]]} {s.charge + 1}".replace("+ ", " ") for s in species
        ],
        "wlcent": lines.wavelength,
        "excit": lines.energy,
        "gflog": lines.log_gf,
        "gamrad": log(lines.gamma_rad),
        "gamqst": log(lines.gamma_stark),
        "gamvw": np.where(lines.vdw_sigma > 0, lines.vdw_sigma + lines.vdw_alpha, log(lines.gamma_vdw)),
        "ionization": [float(s.charge + 1) for s in species],
    }
    frame = pd.DataFrame(table)
    near = [
        (wave, upper, strength)
        for wave, upper, strength in _BALMER
        if any(w[0] - _WINGS < wave < w[-1] + _WINGS for w in windows)
    ]
    balmer = pd.DataFrame(
        {
            "species": "H 1",
            "wlcent": wave,
            "excit": _N2,
            "gflog": np.log10(_G2 * strength),
            "gamrad": 0.0,
            "gamqst": 2.0,
            "gamvw": float(upper),
            "ionization": 1.0,
        }
        for wave, upper, strength in near
    )
    frame = pd.concat([frame, balmer], ignore_index=True).sort_values("wlcent", ignore_index=True)
    for name in ("lande", "lande_lower", "lande_upper", "j_lo", "j_up", "e_upp"):
        frame[name] = 0.0
    for name in ("term_lower", "term_upper", "reference"):
        frame[name] = ""
    return frame.assign(atom_number=1.0, error=0.5, depth=0.5)
