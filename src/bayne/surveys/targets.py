"""Which of the spectra in a file: by row, or by the name of the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError


def choose_row(
    path: Path,
    names: Sequence[np.ndarray],
    row: int | None,
    wanted: int | str | None,
    *,
    label: str,
    options: str = "targetid= or row=",
) -> int:
    """Row of the spectrum that is wanted; the only one where nothing is.

    Parameters
    ----------
    names
        Arrays (n,) with the names of the targets, where any may be given, as numbers or text.
    row, wanted
        As given by the caller.
    label, options
        What the names are called, and how to say which, for the messages.

    Raises
    ------
    ReadError
        There are several and nothing is wanted; there is none such, or several; the row is another target's.
    """
    n = len(names[0])
    if row is not None:
        if not 0 <= row < n:
            raise ReadError(f"{path.name} has no row {row}; rows are 0 to {n - 1}")
        if wanted is not None and not any(_text(own[row]) == _text(wanted) for own in names):
            raise ReadError(f"{path.name}: row {row} is {label} {_text(names[0][row])}, not {wanted}")
        return row
    if wanted is None:
        if n == 1:
            return 0
        raise ReadError(f"{path.name} holds {n} spectra; say which with {options}")
    found = [i for i in range(n) if any(_text(own[i]) == _text(wanted) for own in names)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ReadError(f"{path.name} has no {label} {wanted} among its {n} spectra")
    raise ReadError(f"{path.name}: {label} {wanted} is in rows {found}; choose one with row=")


def _text(name: Any) -> str:
    return str(name.decode() if isinstance(name, bytes) else name).strip()
