"""<3D> model atmospheres of the STAGGER grid (Magic et al. 2013, A&A 557, A26), as one ``.npz`` file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ..errors import BayneError, ReadError
from ..spectrum import FloatArray
from .atmosphere_grid import AtmosphereGrid

_NAMES = (
    "labels",
    "label_names",
    "log_tau_5000",
    "temperature_K",
    "gas_pressure_dyn_cm2",
    "electron_pressure_dyn_cm2",
    "density_g_cm3",
)

#: Gas pressures (dyn cm^-2) that a photosphere from 4000 to 7000 K and log g 1.5 to 5 may have at optical depth one: it
#: is 1.4e5 in the Sun's. A logarithm in its place is far outside.
_PLAUSIBLE = (1e2, 1e7)


def read_stagger(path: str | Path) -> AtmosphereGrid:
    """The grid of <3D> models in a ``.npz`` file: time and horizontal means on layers of equal optical depth at 5000 Å.

    Parameters
    ----------
    path
        Arrays ``labels`` (n, 3) with ``label_names`` ``teff_K``, ``logg_cgs``, ``fe_h``; ``log_tau_5000`` (d,);
        ``temperature_K``, ``gas_pressure_dyn_cm2``, ``electron_pressure_dyn_cm2``, ``density_g_cm3``, each (n, d).

    Raises
    ------
    ReadError
        No such file, another kind of file, an array that is missing or not in the unit of its name.

    Notes
    -----
    All arrays are linear, as their names say. Gas pressure includes the electrons (with density it gives a mean
    molecular weight that falls in the deep layers as the electrons' part rises) and not turbulence, which is a separate
    array and is left out: at optical depth one it is 17% of the Sun's gas pressure. Of the 204 published models eight
    giants are straight lines (in T and ln P) at the top, up to log tau = -4.2: it seems that they were extrapolated.
    """
    path = Path(path)
    arrays = _arrays(path)
    names = [str(name) for name in arrays["label_names"]]
    if names != ["teff_K", "logg_cgs", "fe_h"]:
        raise ReadError(f"{path.name}: label_names are {names}, they should be teff_K, logg_cgs, fe_h")
    log_tau: FloatArray = arrays["log_tau_5000"]
    middle = int(np.argmin(np.abs(log_tau)))
    pressure = arrays["gas_pressure_dyn_cm2"]
    if pressure.ndim == 2 and pressure.shape[1] == log_tau.size and pressure.size:
        typical = float(np.median(pressure[:, middle]))
        if not _PLAUSIBLE[0] < typical < _PLAUSIBLE[1]:
            raise ReadError(
                f"{path.name}: the gas pressure at optical depth one is {typical:g} in the median; in dyn cm^-2 it "
                "would be about 1e5: is it a logarithm, or in other units?"
            )
    try:
        return AtmosphereGrid(
            labels=arrays["labels"],
            log_tau=log_tau,
            name=path.stem,
            temperature=arrays["temperature_K"],
            pressure=pressure,
            electron_pressure=arrays["electron_pressure_dyn_cm2"],
            density=arrays["density_g_cm3"],
        )
    except BayneError as error:
        raise ReadError(f"{path.name}: {error}") from error


def _arrays(path: Path) -> dict[str, FloatArray]:
    if not path.is_file():
        raise ReadError(f"{path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise ReadError(f"{path.name} is no .npz file, or only a part of one")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in _NAMES if name not in file.files]
            if missing:
                raise ReadError(f"{path.name} has no array {missing[0]!r}; is it a grid of <3D> models?")
            return {name: file[name] for name in _NAMES}
    except ReadError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path.name} has arrays that cannot be read: {error}") from error
