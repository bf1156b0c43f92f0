"""Many stars: a catalogue in, a folder of blocks out, that can be stopped, moved and checked; merged into one table."""

from __future__ import annotations

from .catalogue import Catalogue, Entry, read_catalogue
from .merge import merge
from .run import fit_catalog
from .store import Store, open_store, read_rows
from .validate import validate
from .visits import calibrated, calibration

__all__ = [
    "Catalogue", "Entry", "Store", "calibrated", "calibration", "fit_catalog", "merge", "open_store", "read_catalogue",
    "read_rows", "validate",
]  # fmt: skip
