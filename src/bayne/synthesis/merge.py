"""Several line lists as one, in which each is preferred over those after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import BayneError
from ..wavelength import C_KMS
from .transitions import ARRAYS, LineList

#: Two lists mean the same line of an atom where wavelengths (km/s) and lower levels (eV) agree this well. Hyperfine
#: components spread over as much.
SAME_KMS, SAME_EV = 6.0, 0.03


class Merged(NamedTuple):
    """What `merge` gives.

    Parameters
    ----------
    lines
        The list.
    kept, dropped
        For each of the lists, numbers of lines by the name of the species.
    """

    lines: LineList
    kept: tuple[dict[str, int], ...]
    dropped: tuple[dict[str, int], ...]


def merge(lists: Sequence[LineList]) -> Merged:
    """Join line lists; of what two of them have, the earlier one's is taken.

    A line of an atom or ion is dropped where an earlier list has one of the same species within 6 km/s, with the same
    lower level to 0.03 eV: a line that one list splits into components is one line of the other. Molecules have too
    many lines for that; of each, an earlier list holds for all wavelengths from its first line to its last.

    Parameters
    ----------
    lists
        One or more, the preferred ones first.

    Raises
    ------
    BayneError
        No list.
    """
    if not lists:
        raise BayneError("give one line list or more")
    taken: list[LineList] = []
    kept, dropped = [], []
    for each in lists:
        known = np.zeros(len(each), dtype=bool)
        for before in taken:
            known |= _in(each, before)
        taken.append(each.select(~known))
        kept.append(_counts(taken[-1]))
        dropped.append(_counts(each.select(known)))
    return Merged(_joined(taken), tuple(kept), tuple(dropped))


def _in(lines: LineList, before: LineList) -> np.ndarray:
    """(n,) True for the lines that another list has."""
    found = np.zeros(len(lines), dtype=bool)
    for kind, species in enumerate(lines.species):
        if species not in before.species:
            continue
        mine = np.flatnonzero(lines.kind == kind)
        theirs = np.flatnonzero(before.kind == before.species.index(species))
        if not theirs.size:
            continue
        wave, other = np.log(lines.wavelength[mine]), np.log(before.wavelength[theirs])
        if species.is_molecule:
            found[mine] = (wave >= other[0]) & (wave <= other[-1])
            continue
        low = np.searchsorted(other, wave - SAME_KMS / C_KMS)
        high = np.searchsorted(other, wave + SAME_KMS / C_KMS)
        energy, levels = lines.energy[mine], before.energy[theirs]
        found[mine] = [
            bool(np.any(np.abs(levels[i:j] - e) < SAME_EV)) for i, j, e in zip(low, high, energy, strict=True)
        ]
    return found


def _counts(lines: LineList) -> dict[str, int]:
    number = Counter(lines.kind.tolist())
    return {lines.species[kind].name: number[kind] for kind in sorted(number)}


def _joined(lists: Sequence[LineList]) -> LineList:
    """All lines of the lists, by wavelength."""
    species = tuple(dict.fromkeys(one for lines in lists for one in lines.species))
    isotopes = tuple(dict.fromkeys(one for lines in lists for one in lines.isotopes))
    kind = [np.array([species.index(one) for one in lines.species], dtype=np.intp)[lines.kind] for lines in lists]
    isotope = [
        np.array([isotopes.index(one) for one in lines.isotopes], dtype=np.intp)[lines.isotope] for lines in lists
    ]
    whole = {name: np.concatenate([getattr(lines, name) for lines in lists]) for name in ARRAYS}
    order = np.argsort(whole["wavelength"], kind="stable")
    return LineList(
        species=species,
        isotopes=isotopes,
        kind=np.concatenate(kind)[order],
        isotope=np.concatenate(isotope)[order],
        **{name: values[order] for name, values in whole.items()},
    )
