"""From labels to numbers of atoms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import BayneError, did_you_mean
from ..spectrum import FloatArray
from .species import SOLAR, SYMBOLS

#: Labels that are no abundances of single elements.
ATMOSPHERE = ("teff", "logg", "fe_h", "vmic")

#: Elements that the metallicity does not scale.
_PRIMORDIAL = (1, 2)


def element_of(label: str) -> int:
    """Atomic number that an abundance label is of: 12 for ``mg_fe``.

    Raises
    ------
    BayneError
        No label ``<element>_fe`` of an element from Li to U other than Fe.
    """
    known = {f"{symbol.lower()}_fe": z for z, symbol in enumerate(SYMBOLS) if z > 2 and symbol != "Fe"}
    if label not in known:
        raise BayneError(f"label {label!r} is no abundance. {did_you_mean(label, [*ATMOSPHERE, *known])}")
    return known[label]


def abundances(labels: Mapping[str, float], solar_scale: str) -> FloatArray:
    """Number of atoms per hydrogen atom by atomic number (93,), 0 where the scale has no value.

    log10(N_X / N_H) is the solar value, plus [Fe/H] for all elements but helium, plus [X/Fe] where it is a label.

    Parameters
    ----------
    labels
        By name; ``fe_h`` and any ``<element>_fe``; ``teff``, ``logg`` and ``vmic`` do not count.
    solar_scale
        Key of `SOLAR`.

    Raises
    ------
    BayneError
        Unknown scale or label.
    """
    if solar_scale not in SOLAR:
        raise BayneError(f"solar_scale {solar_scale!r}. {did_you_mean(solar_scale, SOLAR)}")
    log_eps = np.array(SOLAR[solar_scale])
    metals = np.array([z > 0 and z not in _PRIMORDIAL for z in range(log_eps.size)])
    log_eps[metals] += labels.get("fe_h", 0.0)
    for name, value in labels.items():
        if name not in ATMOSPHERE:
            log_eps[element_of(name)] += value
    return np.nan_to_num(10.0 ** (log_eps - 12.0), nan=0.0)
