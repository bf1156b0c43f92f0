"""`validate`: whether a run is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ReadError
from ..surveys import read_spectrum
from .store import Store, open_store


def validate(
    folder: str | Path, spectra: bool = False, tell: Callable[[float, str], None] = lambda done, text: None
) -> list[str]:
    """Check a run against its manifest.

    Parameters
    ----------
    folder
        Written by `fit_catalog`.
    spectra
        Also read the spectra again, and compare them with those that were fitted.
    tell
        Called with the fraction of blocks checked, and the next block.

    Returns
    -------
    list
        What is missing or wrong, in words: blocks that are missing, unreadable, or have other rows than the catalogue;
        residuals and spectra that cannot be read; files that belong to no block; spectra that have changed. Empty when
        the run is complete.
    """
    try:
        store = open_store(folder)
    except ReadError as error:
        return [str(error)]
    wrong = wrong_rows(store)
    for kind in store.kinds:
        known = {store.path(kind, block) for block in store.blocks}
        found = {path for path in (store.folder / kind).glob("*") if not path.name.startswith(".")}
        wrong += [f"{path} is of no block of this run" for path in sorted(found - known)]
    for block in store.blocks:
        if not store.missing(block) and (words := store.damage(block)):
            wrong.append(f"{words}; remove it and go on with resume")
    return wrong + (_changed(store, tell) if spectra else [])


def _changed(store: Store, tell: Callable[[float, str], None]) -> list[str]:
    """Spectra that are no more what was fitted."""
    reading, wrong = store.manifest["configuration"]["reading"], []
    columns = [column for column in store.layout.columns() if column.name == "spectrum_hash"]
    for block in store.done:
        tell(block / len(store.blocks), f"block {block} of {len(store.blocks)}")
        if _wrong(store, block):  # it has been said
            continue
        hashes = store.read(columns, [block])["spectrum_hash"]
        for entry, known in zip(store.entries(block), hashes, strict=True):
            if not known:  # there was nothing to fit
                continue
            try:
                now = read_spectrum(entry.path, **(reading | entry.options)).provenance["hash"]
            except ReadError as error:
                wrong.append(f"{entry.spectrum_id!r} was fitted, but now: {error}")
            else:
                if now != known:
                    wrong.append(f"{entry.spectrum_id!r}: {entry.path} is not what was fitted; fit it in a new run")
    return wrong


def wrong_rows(store: Store) -> list[str]:
    """Blocks that are missing or whose rows are wrong."""
    absent = [block for block in store.blocks if store.missing(block)]
    wrong = []
    if absent:
        stars = sum(map(store.size, absent))
        wrong.append(
            f"{len(absent)} of {len(store.blocks)} blocks are missing, {stars} of {len(store.catalogue)} stars: "
            f"{_ranges(absent)}; go on with resume"
        )
    told = (_wrong(store, block) for block in sorted({*store.blocks} - {*absent}))
    return wrong + [words for words in told if words]


def _wrong(store: Store, block: int) -> str:
    """What is wrong with the rows of a block; empty where nothing is."""
    try:
        store.bad_flags(block)
    except ReadError as error:
        return f"{error}; resume makes it again"
    return ""


def _ranges(blocks: Sequence[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``."""
    runs: list[list[int]] = []
    for block in blocks:
        if runs and block == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], block]
        else:
            runs.append([block])
    return ", ".join("-".join(map(str, run)) for run in runs)
