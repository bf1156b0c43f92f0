"""`make_grid`: a line list and model atmospheres in, a grid file out, made in parts that a kill does not lose."""

from __future__ import annotations

import itertools
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ..errors import BayneError, ReadError
from ..files import remove_files, replacing
from ..labels import unit
from ..spectrum import FloatArray
from ..wavelength import log_pixels, to_vacuum
from . import lte, pysme  # noqa: F401  (which register themselves)
from .abundances import abundances
from .atmosphere import Atmosphere
from .grid_config import GridConfig, read_grid_config
from .line_strengths import change_log_gf
from .linelist import LineList, read_linelist
from .merge import merge
from .models import Models, place_of, read_models
from .sampling import points
from .synthesiser import Synthesiser, at_resolution, fine_windows, synthesiser

#: Spectra of a part; they are written, and lost by a kill, together.
PART = 8

#: Stored integer over flux, and the greatest flux that has one.
SCALE = 50_000.0
MAX_FLUX = 65_535 / SCALE

#: Lines this far outside the windows (Å) are kept: the wings of strong ones reach in.
MARGIN = 10.0

Tell = Callable[[float, str], None]


class Row(NamedTuple):
    """One spectrum to be made: its place in the sequence of labels, and these (l,)."""

    place: int
    labels: FloatArray


class Maker:
    """Spectra of a configuration, one by one."""

    def __init__(self, config: GridConfig) -> None:
        self.config = config
        self.models: Models = read_models(config.atmospheres, config.solar_scale)
        self.wavelength = pixels(config.like) if config.like else log_pixels(config.windows, config.step_kms)
        fine = fine_windows([(wave[0], wave[-1]) for wave in self.wavelength], config.resolution)
        lines = _lines(config)
        wanted = [(wave[0] - MARGIN, wave[-1] + MARGIN) for wave in fine]
        near = np.any([(lines.wavelength >= low) & (lines.wavelength <= high) for low, high in wanted], axis=0)
        if not near.any():
            raise BayneError(f"{', '.join(each.file for each in config.line_files())}: no line in the windows")
        self.synthesiser: Synthesiser = synthesiser(config.synthesiser)(lines.select(near), fine)
        self.pixels = sum(wave.size for wave in self.wavelength)

    def rows(self) -> list[Row]:
        """What is to be made, in order."""
        own = list(self.config.labels)

        def inside(labels: FloatArray) -> np.ndarray:
            named = dict(zip(own, labels.T, strict=True))
            return self.models.contains(np.stack(place_of(self.models, named), axis=-1))

        sequence = points(self.config.labels, inside, self.config.seed, self.config.observed())
        return [Row(*found) for found in itertools.islice(sequence, self.config.number)]

    def spectrum(self, labels: FloatArray) -> FloatArray:
        """(p,) continuum-normalised flux at the resolution of the grid.

        Raises
        ------
        BayneError
            The synthesiser gave what is no spectrum.
        """
        named = dict(zip(self.config.labels, map(float, labels), strict=True))
        atmosphere: Atmosphere = self.models.at(*map(float, place_of(self.models, named)))
        flux, continuum = self.synthesiser.synthesise(
            atmosphere, abundances(named, self.config.solar_scale), named["vmic"]
        )
        normalised = flux / continuum
        if not np.isfinite(normalised).all():
            raise BayneError(f"{(~np.isfinite(normalised)).sum()} of {normalised.size} pixels are not finite")
        made = self._observed(normalised)
        if made.min() < 0 or made.max() > MAX_FLUX:
            raise BayneError(f"normalised flux from {made.min():.3g} to {made.max():.3g}")
        return made

    def derivatives(self, labels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What `spectrum` gives (p,), and its exact derivatives by the labels (l, p).

        Raises
        ------
        BayneError
            The synthesiser is not ``"lte"``, or the models are none that it can differentiate: see there.
        """
        if not isinstance(self.synthesiser, lte.LTE):
            raise BayneError('exact derivatives need synthesiser = "lte"')
        named = dict(zip(self.config.labels, map(float, labels), strict=True))
        flux, slopes = self.synthesiser.derivatives(self.models, named, self.config.solar_scale)
        return self._observed(flux), np.stack([self._observed(slope) for slope in slopes])

    def _observed(self, fine: FloatArray) -> FloatArray:
        return at_resolution(fine, self.synthesiser.windows, self.wavelength, self.config.resolution)


def _lines(config: GridConfig) -> LineList:
    """The lines of all lists, of what two of them have that of the earlier one, with the log gf that are wanted."""
    files = config.line_files()
    lists = [read_linelist(each.file, format=each.format or None, medium=each.medium or None) for each in files]
    lines = merge(lists).lines if len(lists) > 1 else lists[0]
    return change_log_gf(lines, config.log_gf) if config.log_gf else lines


def pixels(path: str | Path) -> list[FloatArray]:
    """Vacuum wavelengths of a grid file (Å), window by window.

    Raises
    ------
    ReadError
        The file is missing, or no grid.
    """
    try:
        with h5py.File(path) as file:
            wavelength = to_vacuum(file["wavelength"][:], str(file["wavelength"].attrs["medium"]))
            window = file["segment"][:]
    except (OSError, KeyError) as error:
        raise ReadError(f"{path}: no grid file whose pixels could be taken ({error})") from None
    return [wavelength[window == k] for k in np.unique(window)]


_maker: Maker | None = None


def _begin(config: GridConfig) -> None:
    global _maker  # one in each process: reading and compiling take longer than a spectrum
    _maker = Maker(config)


def _make(rows: list[Row], path: Path) -> list[str]:
    """Write a part; returns what failed, in words."""
    assert _maker is not None
    spectra, done, failed = [], [], {}
    for row in rows:
        try:
            spectra.append(_maker.spectrum(row.labels))
            done.append(row)
        except (BayneError, ArithmeticError, ValueError, RuntimeError) as error:  # what synthesisers raise
            failed[row.place] = f"{type(error).__name__}: {error}"
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            place=np.array([row.place for row in done], dtype=np.int64),
            labels=np.array([row.labels for row in done]).reshape(len(done), len(rows[0].labels)),
            flux=np.rint(np.array(spectra).reshape(len(done), _maker.pixels) * SCALE).astype(np.uint16),
            failed=json.dumps(failed),
        )
    return [f"spectrum {place}: {reason}" for place, reason in failed.items()]


def make_grid(
    config: str | Path | Mapping[str, Any],
    output: str | Path,
    *,
    seed: int | None = None,
    workers: int = 1,
    resume: bool = False,
    append: bool = False,
    overwrite: bool = False,
    tell: Tell = lambda done, text: None,
) -> Path:
    """Make a grid file of synthetic spectra.

    Labels follow a sequence that depends on the configuration alone. Spectra are made in parts, each written by an
    atomic rename into the folder ``<output>.parts``, and joined at the end: a killed run can continue without losing or
    repeating a spectrum. A spectrum that the synthesiser cannot make is left out; the dataset ``failed`` (JSON) records
    its index and the reason.

    Parameters
    ----------
    config
        TOML file or mapping: see `GridConfig`.
    output
        File (HDF5).
    seed
        Random seed of the labels; None for the configuration's.
    workers
        Number of processes.
    resume
        Continue from the parts of a run with the same configuration.
    append
        Extend a finished file with the same configuration to a larger number.
    overwrite
        Replace existing files.
    tell
        Called with the fraction done and a progress message.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ReadError, BayneError
        What is wrong with the configuration or its files; a run or file of another configuration is in the way; a
        worker was killed, or the disk is full: the parts are kept.
    FileExistsError
        The file is there and neither `append` nor `overwrite` is given.
    """
    settings, output = read_grid_config(config), Path(output)
    if seed is not None:
        settings = replace(settings, seed=seed)
    growing = append and output.exists()
    if output.exists() and not (append or overwrite):
        raise FileExistsError(f"{output} exists; pass overwrite=True to replace it, or append=True to go on from it")
    if workers < 1:
        raise BayneError(f"workers = {workers}; give 1 or more")
    known = _known(output, settings) if growing else set()
    _begin(settings)
    assert _maker is not None
    parts = _folder(output, settings, resume, overwrite)
    known |= {place for path in sorted(parts.glob("part-*.npz")) for place in _places(path)}
    rows = [row for row in _maker.rows() if row.place not in known]
    done, total = settings.number - len(rows), settings.number
    tell(done / total, f"{done} of {total} spectra are there" if done else f"{total} spectra")
    jobs = [(rows[i : i + PART], parts / f"part-{rows[i].place:08d}.npz") for i in range(0, len(rows), PART)]
    try:
        for count, failed in _run(jobs, settings, workers):
            done += count
            tell(done / total, f"{done} of {total} spectra" + "".join(f"; {reason}" for reason in failed))
        _assemble(output, parts, settings, _maker.wavelength, growing)
    except BrokenProcessPool:
        raise BayneError(
            f"a worker was killed, perhaps for lack of memory; {done} spectra are kept in {parts}: go on with resume"
        ) from None
    except OSError as error:
        raise BayneError(f"{error}; {done} spectra are kept in {parts}: go on with resume") from error
    _remove(parts)
    return output


def _run(jobs: list[tuple[list[Row], Path]], settings: GridConfig, workers: int) -> Iterator[tuple[int, list[str]]]:
    """Make parts; yields how many spectra each had and what failed, as they end."""
    pool: Executor
    if workers == 1:
        pool = ThreadPoolExecutor(1)
    else:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(settings,))
    try:
        waiting = {pool.submit(_make, *job): len(job[0]) for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _folder(output: Path, settings: GridConfig, resume: bool, overwrite: bool) -> Path:
    """Folder of the parts, whose ``configuration.json`` says what they are parts of."""
    parts = output.with_name(output.name + ".parts")
    note = parts / "configuration.json"
    there = [] if note.exists() or not parts.exists() else sorted(path.name for path in parts.glob("[!.]*"))
    if there:
        raise BayneError(f"{parts} is no folder of parts of a grid, it has {', '.join(there[:3])}: move it away")
    if overwrite and not resume:
        _remove(parts)
    if parts.exists():
        if not resume:
            raise BayneError(f"{parts} has parts of an unfinished run: go on with resume, or overwrite it")
        if note.exists():
            _same(note.read_text(encoding="utf-8"), settings, parts)
    parts.mkdir(parents=True, exist_ok=True)
    with replacing(note) as part:
        part.write_text(settings.identity(), encoding="utf-8")
    return parts


def _remove(parts: Path) -> None:
    """Remove parts, then the note that says what they are, and the folder unless something else is in it."""
    remove_files(parts, "part-*.npz", "configuration.json")


def _same(found: str, settings: GridConfig, where: Path) -> None:
    """Raise where a run or a file is of another configuration; says what differs."""
    theirs, ours = json.loads(found), json.loads(settings.identity())
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise BayneError(f"{where} is of another configuration: {key} was {theirs.get(key)}, now it is {value}")


def _places(path: Path) -> list[int]:
    """Places of the spectra of a part, made or failed."""
    with np.load(path) as part:
        return [*map(int, part["place"]), *map(int, json.loads(str(part["failed"])))]


def failures(file: h5py.File) -> dict[str, str]:
    """Reasons of the spectra that a grid file of ours lacks, by their places."""
    found: dict[str, str] = json.loads(file["failed"].asstr()[()])
    return found


def _known(output: Path, settings: GridConfig) -> set[int]:
    """Places of the spectra that a file has or could not have."""
    with h5py.File(output) as file:
        if "configuration" not in file.attrs or "index" not in file:
            raise ReadError(f"{output}: not a grid made by bayne: it lacks the state needed to continue")
        _same(str(file.attrs["configuration"]), settings, output)
        if len(file["index"]) > settings.number:
            raise BayneError(f"{output} has {len(file['index'])} spectra already, more than number = {settings.number}")
        return {*map(int, file["index"][:]), *map(int, failures(file))}


def _assemble(output: Path, parts: Path, settings: GridConfig, windows: list[FloatArray], growing: bool) -> None:
    """The grid file, of its parts and of what the file had before."""
    wavelength = np.concatenate(windows)
    failed: dict[str, str] = {}
    with replacing(output) as path, h5py.File(path, "w") as file:
        sizes = {"labels": len(settings.labels), "flux": wavelength.size}
        kinds = {"labels": np.float64, "flux": np.uint16}
        for name, size in sizes.items():
            file.create_dataset(
                name, (0, size), kinds[name], maxshape=(None, size), chunks=(PART, size), compression="gzip"
            )
        file.create_dataset("index", (0,), np.int64, maxshape=(None,))

        def add(place: np.ndarray, labels: FloatArray, flux: np.ndarray) -> None:
            start, new = len(file["index"]), ~np.isin(place, file["index"][:])  # parts of a run killed at its very end
            for name, values in (("index", place[new]), ("labels", labels[new]), ("flux", flux[new])):
                file[name].resize(start + len(values), axis=0)
                file[name][start:] = values

        if growing:
            with h5py.File(output) as old:
                failed |= failures(old)
                for i in range(0, len(old["index"]), 1000):
                    some = slice(i, i + 1000)
                    add(old["index"][some], old["labels"][some], old["flux"][some])
        for written in sorted(parts.glob("part-*.npz")):
            with np.load(written) as part:
                failed |= json.loads(str(part["failed"]))
                add(part["place"], part["labels"], part["flux"])
        if not len(file["index"]):
            raise BayneError("no spectrum could be made: " + "; ".join(list(failed.values())[:3]))
        file["wavelength"] = wavelength
        file["segment"] = np.repeat(np.arange(len(windows)), [w.size for w in windows])
        file["failed"] = json.dumps(failed)
        file["wavelength"].attrs["medium"] = "vacuum"
        file["flux"].attrs["scale"] = SCALE
        file["labels"].attrs["names"] = list(settings.labels)
        file["labels"].attrs["units"] = [unit(name) for name in settings.labels]
        file.attrs.update(
            resolution=settings.resolution,
            solar_scale=settings.solar_scale,
            synthesis=f"{settings.synthesiser}, Bayne {version('bayne')}",
            atmospheres=Path(settings.atmospheres).name,
            linelist=", ".join(Path(each.file).name for each in settings.line_files()),
            created=datetime.now(UTC).date().isoformat(),
            license="that of the line list and the model atmospheres",
            configuration=settings.identity(),
        )
