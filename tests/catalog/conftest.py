"""What the tests of runs share: an emulator, small files, a fit that takes no time, and one run of real fits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table, vstack

import bayne
from bayne.catalog import run as module
from bayne.emulators import save_emulator
from catalog.quick import READING, merged, quick_fit, write_stars
from toy import LOWER, UPPER, mock_star, toy_emulator


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Folder of the toy emulator."""
    return save_emulator(toy_emulator(), tmp_path_factory.mktemp("emulator") / "toy")


@pytest.fixture(scope="session")
def stars(tmp_path_factory):
    """Folder of ten small files and their catalogue."""
    folder = tmp_path_factory.mktemp("stars") / "ten"
    write_stars(folder, 10)
    return folder


@pytest.fixture
def quick(stars, toy, monkeypatch):
    """Call `fit_catalog` on the small files, without fits."""
    monkeypatch.setattr(module, "fit_checked", quick_fit)

    def call(output, catalogue=None, **options):
        given = {"block": 3, "reading": READING} | options
        return bayne.fit_catalog(catalogue or stars / "stars.ecsv", toy, output, **given)

    return call


@pytest.fixture(scope="session")
def real(toy, tmp_path_factory):
    """A run of real fits: five stars, the last two visits of one; a missing file; one with a prior that is none."""
    folder = tmp_path_factory.mktemp("real")
    emulator, rng = bayne.load_emulator(toy), np.random.default_rng(4)
    labels = LOWER + (UPPER - LOWER) * rng.uniform(0.25, 0.75, (5, 4))
    labels[4] = labels[3]
    for i in range(5):
        star = mock_star(emulator, labels[i], velocity=rng.normal(0, 20), vsini=10.0, seed=i, snr=60.0)
        arms = [
            Table({"arm": [a.name] * a.flux.size, "wavelength": a.wavelength, "flux": a.flux, "ivar": a.ivar})
            for a in star.arms
        ]
        table = vstack(arms)
        table["wavelength"].unit = "Angstrom"
        table.meta = {"medium": "vacuum", "frame": "barycentric"}
        table.write(folder / f"{i}.fits")
    catalogue = Table(
        {
            "spectrum_id": ["one", "two", "three", "four-a", "four-b", "missing", "no prior"],
            "star_id": ["one", "two", "three", "four", "four", "missing", "one"],
            "file": [0, 1, 2, 3, 4, 9, 0],
            "teff_prior": [np.nan, labels[1, 0], np.nan, np.nan, np.nan, np.nan, 5000.0],
            "teff_prior_error": [np.nan, 5.0, np.nan, np.nan, np.nan, np.nan, -50.0],
            "logg_start": [np.nan, np.nan, labels[2, 1], np.nan, np.nan, np.nan, np.nan],
        }
    )
    catalogue.write(folder / "catalogue.fits")
    options = {"method": "laplace", "resolution": 20_000.0, "seed": 3}
    output = bayne.fit_catalog(
        folder / "catalogue.fits", emulator, folder / "run", spectra=str(folder / "{file}.fits"), block=3,
        keep_spectra=True, **options,
    )  # fmt: skip
    table = merged(output, folder / "merged.fits")
    return SimpleNamespace(
        folder=folder, run=output, table=table, emulator=emulator, labels=labels, options=options, catalogue=catalogue
    )
