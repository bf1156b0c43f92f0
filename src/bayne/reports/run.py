"""A run over many spectra, as its page needs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.table import Table

from ..catalog.store import Store, open_store
from ..catalog.visits import calibration
from ..errors import ReadError
from ..flags import Flag
from .catalogue_figures import Stars

#: Columns that the page needs, of stars and of labels: a small part of all.
_OF_STARS = ("spectrum_id", "star_id", "ok", "flag_warn", "flag_bad", "method", "chi2_reduced", "seconds")
_OF_LABELS = ("", "_std", "_bound", "_upper_95", "_flag")


@dataclass(frozen=True)
class Run:
    """A run's folder as the page needs it.

    Parameters
    ----------
    store
        The run; pages of single stars are in its folder, under ``pages``.
    here
        Folder of the page, from which links start.
    stars
        All rows, with the columns that the page needs.
    rate
        Spectra per second; NaN where it is unknown.
    """

    store: Store
    here: Path
    stars: Stars
    rate: float

    @property
    def folder(self) -> Path:
        """Where the run is."""
        return self.store.folder

    @cached_property
    def failed(self) -> np.ndarray:
        """(n,) rows without a result."""
        return self.stars.flagged(Flag.FAILED)

    @cached_property
    def warned(self) -> np.ndarray:
        """(n,) rows that are ok, with a warning."""
        return self.stars.ok & (self.stars.flags != 0)

    @cached_property
    def doubtful(self) -> np.ndarray:
        """(n,) rows with a result that must not be used as it is."""
        return ~self.stars.ok & ~self.failed

    @cached_property
    def calibration(self) -> Table:
        """See `bayne.catalog.visits.calibration`."""
        return calibration(self.stars.table, self.stars.labels)


def read_run(folder: Path, here: Path) -> Run:
    """What the page of a run needs of it; `here` is the folder of the page.

    Raises
    ------
    ReadError
        The folder is no run, or a file in it is damaged.
    """
    store = open_store(folder)
    wanted = {*_OF_STARS, *(name + ending for name in store.layout.labels for ending in _OF_LABELS)}
    columns = [column for column in store.columns() if column.name in wanted or column.name.startswith("snr_")]
    return Run(store, here, Stars(store.read(columns, store.done)), _rate(folder))


def _rate(folder: Path) -> float:
    """Spectra per second of all processes of the run; NaN where they do not tell."""
    try:
        told = [dict(json.loads(path.read_text(encoding="utf-8"))).get("rate") for path in folder.glob("status*.json")]
    except (ValueError, TypeError, OSError) as error:
        raise ReadError(f"{folder}: its status cannot be read ({error})") from None
    return float(sum(rate for rate in told if rate)) or np.nan
