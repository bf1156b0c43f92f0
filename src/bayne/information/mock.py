"""Mock observations: stars whose labels are known, as an instrument would record them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from astropy.table import Table, vstack

from ..emulators import Card, Emulator, load_emulator
from ..emulators.linear import Linear
from ..errors import BayneError
from ..files import remove_files, replacing
from ..forward import plan
from ..instrument import Instrument, load_instrument
from ..labels import unit
from ..precision import double
from ..spectrum import FloatArray, Spectrum, make_arm
from ..training import read_grid
from ..training.compiling import random_labels
from .exposure import expose

#: Counts at the middle of the continuum, and how much it may slope and bend over an arm.
COUNTS, SLOPE, BEND = 6400.0, 0.15, 0.2

#: Standard deviation of radial velocities, and range of v sin i (km/s).
RV, VSINI = 30.0, (1.0, 15.0)

#: File of the true labels, and what it says of who wrote the folder.
TRUTH, MADE_BY = "truth.ecsv", "bayne mock"

Tell = Callable[[float, str], None]


@double
def mock_star(
    emulator: Emulator,
    rest: np.ndarray,
    instrument: str | Instrument,
    *,
    rv: float,
    vsini: float,
    snr: float,
    arms: Sequence[str] | None = None,
    seed: int = 0,
) -> Spectrum:
    """Counts with errors of a given rest-frame spectrum: velocity, rotation, LSF, a sloping continuum, noise.

    Parameters
    ----------
    emulator
        Gives the wavelengths and the resolution of `rest`.
    rest
        (p,) normalised flux on the emulator's pixels.
    instrument
        Profile name or `Instrument`.
    rv, vsini
        km/s; barycentric.
    snr
        Per native pixel, at the continuum.
    arms
        Names of the arms; None for all.
    seed
        Of the noise.
    """
    bare = expose(instrument, 1.0, arms=arms).arms
    name = instrument if isinstance(instrument, str) else instrument.name
    star = Spectrum(bare, frame="barycentric", id=f"mock-{seed}", instrument=name)
    the_plan = plan(star, emulator, rv, max_vsini=max(vsini, 1.0))
    at = (jnp.asarray(v) for v in (rv, vsini, 0.0, 1.0, 1.0))
    flux = np.asarray(the_plan.forward.observe(jnp.asarray(rest)[None], *at))[..., 0]
    if not the_plan.used.any():
        raise BayneError(f"{emulator.card.name!r} has no wavelength of {name!r}")
    rng = np.random.default_rng(seed)
    made = []
    for a, arm in enumerate(bare):
        n = arm.wavelength.size
        x = np.linspace(-1, 1, n)
        level = COUNTS * (1 + SLOPE * x - BEND * x**2)
        error = np.where(the_plan.used[a, :n], level / snr, 0.0)
        counts = np.where(error > 0, flux[a, :n] * level + rng.normal(0, level / snr), 0.0)
        made.append(make_arm(arm.wavelength, counts, error=error, name=arm.name, lsf=arm.lsf))
    return Spectrum(tuple(made), frame=star.frame, id=star.id, instrument=star.instrument)


@dataclass(frozen=True, eq=False)
class _Source:
    """Labels (n, l) of stars, by name, and what makes the spectrum of one; `emulator` has the wavelengths."""

    emulator: Emulator
    labels: FloatArray
    spectrum: Callable[[int], np.ndarray]


def mock(
    source: Emulator | str | Path,
    instrument: str | Instrument,
    output: str | Path,
    *,
    number: int = 100,
    snr: tuple[float, float] = (20.0, 300.0),
    arms: Sequence[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    tell: Tell = lambda done, text: None,
) -> Table:
    """Write FITS files of mock observations, and a table of the true labels.

    Stars have radial velocities with a standard deviation of 30 km/s, v sin i uniform from 1 to 15 km/s, log-uniform
    S/N, and labels from the source: uniform over the domain of an emulator, rows of a grid file in random order, or the
    sequence of a grid's configuration, whose synthesiser then makes the spectra.

    Parameters
    ----------
    source
        `Emulator` or anything `load_emulator` accepts; a grid file (``.h5``, ``.hdf5``); a configuration of `make_grid`
        (``.toml``).
    instrument
        Profile name or `Instrument`.
    output
        Folder, which is created: ``truth.ecsv``, then ``mock-000000.fits``, ...
    number
        Number of stars.
    snr
        Lowest and highest S/N per native pixel, at the continuum.
    arms
        Names of the arms; None for all.
    seed
        Random seed.
    overwrite
        Replace the stars of an earlier call; other files in their folder stay.
    tell
        Called with the fraction done and a progress message.

    Returns
    -------
    Table
        One row per star: ``spectrum_id``, ``path`` in the folder, the true labels, ``rv``, ``vsini``, ``snr``.

    Raises
    ------
    BayneError, ReadError
        The source cannot be read, has fewer stars than asked for, or no wavelength of the instrument; wrong S/N; the
        folder to overwrite has files other than mock stars.
    FileExistsError
        The folder is there and `overwrite` is False.
    """
    output = Path(output)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; pass overwrite=True to replace it")
    if number < 1:
        raise BayneError(f"number = {number}; give 1 or more")
    if not 0 < snr[0] <= snr[1]:
        raise BayneError(f"snr = {snr}: give the lowest and the highest, positive")
    rng = np.random.default_rng(seed)
    profile = load_instrument(instrument) if isinstance(instrument, str) else instrument
    stars = _source(source, number, rng)
    names = stars.emulator.label_names
    speeds, turns = rng.normal(0.0, RV, number), rng.uniform(*VSINI, number)
    ratios = np.exp(rng.uniform(np.log(snr[0]), np.log(snr[1]), number))
    ids = [f"mock-{i:06d}" for i in range(number)]
    columns = dict(zip(names, stars.labels.T, strict=True)) | {"rv": speeds, "vsini": turns, "snr": ratios}
    table = Table({"spectrum_id": ids, "path": [f"{name}.fits" for name in ids], **columns})
    for name in (*names, "rv", "vsini"):
        table[name].unit = unit(name)
    table.meta["made_by"] = MADE_BY
    _remove(output)
    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / TRUTH) as part:
        table.write(part, format="ascii.ecsv")
    for i, row in enumerate(table):
        made = mock_star(
            stars.emulator, stars.spectrum(i), profile,
            rv=speeds[i], vsini=turns[i], snr=ratios[i], arms=arms, seed=int(rng.integers(2**31)),
        )  # fmt: skip
        _write(replace(made, id=row["spectrum_id"]), output / row["path"])
        tell((i + 1) / number, f"{i + 1} of {number} stars")
    return table


def _remove(folder: Path) -> None:
    """Remove what an earlier call wrote, the table last, and nothing else that may be in its folder.

    Raises
    ------
    BayneError
        It is no folder of mock stars.
    """
    there = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else [folder.name] * folder.exists()
    if not there:
        return
    try:
        maker = Table.read(folder / TRUTH, format="ascii.ecsv").meta.get("made_by")
    except (OSError, ValueError):
        maker = None
    if maker != MADE_BY:
        raise BayneError(f"{folder} is no folder of mock stars, it has {', '.join(there[:3])}: give a new or empty one")
    remove_files(folder, "mock-??????.fits", TRUTH)


def _source(source: Emulator | str | Path, number: int, rng: np.random.Generator) -> _Source:
    """Stars of an emulator, a grid file, or a grid's configuration."""
    suffix = "" if isinstance(source, Emulator) else Path(source).suffix
    if suffix == ".toml":
        from ..synthesis.grid_config import read_grid_config
        from ..synthesis.grids import Maker

        config = replace(read_grid_config(str(source)), number=number)
        maker = Maker(config)
        labels = np.array([row.labels for row in maker.rows()])
        card = _card(Path(str(source)).stem, tuple(config.labels), labels, config.resolution)
        stand_in = Emulator(Linear(), {}, np.concatenate(maker.wavelength), card)
        return _Source(stand_in, labels, lambda i: maker.spectrum(labels[i]))
    if suffix in (".h5", ".hdf5"):
        grid = read_grid(str(source))
        if number > len(grid.labels):
            raise BayneError(f"{source} has {len(grid.labels)} spectra, fewer than number = {number}")
        chosen = rng.permutation(len(grid.labels))[:number]
        card = _card(Path(str(source)).stem, grid.names, grid.labels, float(grid.attributes["resolution"]))
        stand_in = Emulator(Linear(), {}, grid.wavelength, card)
        return _Source(stand_in, grid.labels[chosen], lambda i: grid.flux[chosen[i]])
    emulator = source if isinstance(source, Emulator) else load_emulator(source)
    labels = random_labels(emulator, number, rng)
    return _Source(emulator, labels, lambda i: emulator.flux(labels[i]))


def _card(name: str, names: tuple[str, ...], labels: FloatArray, resolution: float) -> Card:
    """Card of what is no emulator: it says the wavelengths' resolution."""
    low, high = labels.min(axis=0), labels.max(axis=0) + 1e-9
    units = tuple(unit(label) for label in names)
    return Card(name, Linear.name, names, units, tuple(low), tuple(high), "vacuum", resolution)


def _write(star: Spectrum, path: Path) -> None:
    """A FITS table as `read_spectrum` reads it."""
    tables = []
    for arm in star.arms:
        assert arm.ivar is not None
        columns = {"wavelength": arm.wavelength, "flux": arm.flux, "ivar": np.where(arm.good, arm.ivar, 0.0)}
        tables.append(Table({"arm": [arm.name] * arm.flux.size, **columns}))
    table = vstack(tables)
    table["wavelength"].unit = "Angstrom"
    table.meta = {"medium": "vacuum", "frame": star.frame, "HIERARCH instrument": star.instrument, "id": star.id}
    with replacing(path) as part:
        table.write(part, format="fits")
