"""Names, units and bounds of the quantities that are measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from .errors import BayneError, did_you_mean

#: Broadening and velocity labels that the forward model adds to those of an emulator (km/s).
VELOCITIES = ("rv", "vsini", "vmac")

#: Greatest vsini and vmac (km/s) that a fit considers unless a prior says otherwise. 120 km/s of rotation
#: leaves a metal line about 1% deep at most; beyond, abundances cannot be measured.
MAX_BROADENING = {"vsini": 120.0, "vmac": 30.0}

#: Values that any star can have, in the units of the labels; abundances have those of ``fe_h``.
POSSIBLE = {
    "teff": (500.0, 200_000.0), "logg": (-2.0, 9.5), "fe_h": (-8.0, 5.0), "vmic": (0.0, 50.0), "rv": (-990.0, 990.0),
    "vsini": (0.0, 900.0), "vmac": (0.0, 900.0), "lsf_scale": (0.0, 9.0),
    "lsf_box": (0.0, 9.0),
}  # fmt: skip

_UNITS = {"teff": "K", "logg": "dex", "fe_h": "dex", "vmic": "km/s", "rv": "km/s", "vsini": "km/s", "vmac": "km/s"}
_PRETTY = {
    "teff": "Teff",
    "logg": "log g",
    "fe_h": "[Fe/H]",
    "vmic": "v mic",
    "rv": "RV",
    "vsini": "v sin i",
    "vmac": "v mac",
    "lsf_scale": "LSF scale",
    "lsf_box": "LSF box",
}
_ABUNDANCE = re.compile(r"^([a-z]{1,2})_(fe|h)$")


def unit(name: str) -> str:
    """Unit of a label or nuisance as a string; the empty string for a pure number."""
    if name in _UNITS:
        return _UNITS[name]
    return "dex" if _ABUNDANCE.match(name) else ""


def possible(name: str) -> tuple[float, float]:
    """Least and greatest value that a label of any star can have; infinite for a name that is not known."""
    return POSSIBLE.get("fe_h" if _ABUNDANCE.match(name) else name, (-math.inf, math.inf))


def pretty(name: str) -> str:
    """How a label is written for people: ``mg_fe`` becomes ``[Mg/Fe]``."""
    if name in _PRETTY:
        return _PRETTY[name]
    match = _ABUNDANCE.match(name)
    if match:
        return f"[{match[1].capitalize()}/{match[2].capitalize()}]"
    return name.replace("_", " ")


def over_hydrogen(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The [X/H] labels that follow from sampled [X/Fe] labels.

    Parameters
    ----------
    names
        Labels that are sampled or fixed.

    Returns
    -------
    dict
        ``{"mg_h": ("mg_fe", "fe_h"), ...}``: each derived label and the two whose sum it is. Empty when
        ``fe_h`` is not among the names.
    """
    if "fe_h" not in names:
        return {}
    return {f"{name[:-3]}_h": (name, "fe_h") for name in names if name.endswith("_fe")}


def check_known(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise when a name is not known.

    Raises
    ------
    BayneError
        Names the argument, the wrong label and the likely one.
    """
    known = list(known)
    for name in given:
        if name not in known:
            raise BayneError(f"{what}: unknown label {name!r}. {did_you_mean(name, known)}")
