"""From labels to numbers of atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BayneError, did_you_mean
from ..spectrum import FloatArray
from .species import SOLAR, SYMBOLS

#: Labels that are no abundances of single elements.
ATMOSPHERE = ("teff", "logg", "fe_h", "vmic")

#: Atomic number of the first element that the metallicity scales.
_FIRST_METAL = 3


#: Labels whose mean is the [alpha/Fe] of a star's atmosphere: the alpha elements that give most electrons.
ALPHA = ("mg_fe", "si_fe")


def alpha_of(labels: Mapping[str, Any]) -> Any:
    """[alpha/Fe] for the model atmosphere of a star: the mean of [Mg/Fe] and [Si/Fe].

    Magnesium and silicon are the alpha elements that give the electrons of H-, so that the structure follows them.

    Parameters
    ----------
    labels
        Values by name, numbers or arrays of one shape.

    Returns
    -------
    float or array
        One of the two where the other is no label; 0 where neither is.
    """
    found = [labels[name] for name in ALPHA if name in labels]
    return sum(found) / len(found) if found else 0.0


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


def response(names: Sequence[str]) -> FloatArray:
    """(93, l) dex by which the amount of each element changes with each of the labels.

    Raises
    ------
    BayneError
        Unknown label.
    """
    matrix = np.zeros((len(SYMBOLS), len(names)))
    for column, name in zip(matrix.T, names, strict=True):
        if name == "fe_h":
            column[_FIRST_METAL:] = 1
        elif name not in ATMOSPHERE:
            column[element_of(name)] = 1
    return matrix


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
    log_eps = np.array(SOLAR[solar_scale]) + response(tuple(labels)) @ np.array(list(labels.values()), dtype=float)
    return np.nan_to_num(10.0 ** (log_eps - 12.0), nan=0.0)
