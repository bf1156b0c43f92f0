"""`validate`: whether all of a run is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ReadError
from .store import Store, open_store


def validate(folder: str | Path) -> list[str]:
    """Check a run against its manifest.

    Parameters
    ----------
    folder
        That `fit_catalog` wrote.

    Returns
    -------
    list
        What is missing or wrong, in words: blocks that are not there, cannot be read, or have other rows than the
        catalogue; residuals and spectra that cannot be read; files of no block. Empty when all is there.
    """
    try:
        store = open_store(folder)
    except ReadError as error:
        return [str(error)]
    wrong = wrong_rows(store)
    for kind in store.kinds:
        known = {store.path(kind, number) for number in store.blocks}
        found = {path for path in (store.folder / kind).glob("*") if not path.name.startswith(".")}
        wrong += [f"{path} is of no block of this run" for path in sorted(found - known)]
    for number in store.blocks:
        if not store.missing(number) and (words := store.damage(number)):
            wrong.append(f"{words}; remove it and go on with resume")
    return wrong


def wrong_rows(store: Store) -> list[str]:
    """Blocks that are missing or whose rows are wrong."""
    absent = [number for number in store.blocks if store.missing(number)]
    wrong = []
    if absent:
        stars = sum(map(store.size, absent))
        wrong.append(
            f"{len(absent)} of {len(store.blocks)} blocks are missing, {stars} of {len(store.catalogue)} stars: "
            f"{_ranges(absent)}; go on with resume"
        )
    for number in sorted({*store.blocks} - {*absent}):
        try:
            store.bad_flags(number)
        except ReadError as error:
            wrong.append(f"{error}; resume makes it again")
    return wrong


def _ranges(numbers: Sequence[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
