"""`fit_catalog`: a catalogue in, a folder of results out, in blocks that survive a kill."""

from __future__ import annotations

import inspect
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ..emulators import Emulator, load_emulator
from ..errors import BayneError, ReadError, did_you_mean
from ..flags import Flag
from ..inference import FitResult
from ..inference.batch import attempt, bound_settings
from ..inference.fit import fit_checked, fit_concurrently
from ..inference.prepare import Settings, check_arguments
from ..inference.teacher import distilled_if_costly
from ..spectrum import Spectrum
from ..surveys import read_spectrum
from .catalogue import Entry, read_catalogue
from .manifest import manifest
from .store import Store, begin

log = logging.getLogger("bayne")

#: Blocks of results that may wait to be written.
WAITING = 1

Tell = Callable[[float, str], None]
Call = Callable[[], FitResult | str]


def fit_catalog(
    catalogue: str | Path,
    emulator: Emulator | str | Path,
    output: str | Path,
    *,
    spectra: str | None = None,
    method: str = "fast",
    block: int = 16,
    shard: tuple[int, int] = (0, 1),
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    keep_spectra: bool = False,
    reading: Mapping[str, Any] = {},
    debug: bool = False,
    seed: int = 0,
    tell: Tell = lambda done, text: None,
    **options: Any,
) -> Path:
    """Fit all spectra of a catalogue.

    A star's result is that of `fit_star`. Results are written to a folder in blocks of stars, each by an atomic rename:
    a killed run can continue without losing or repeating a star. While one block is computed, the next is read and the
    previous one written. A spectrum that cannot be read or fitted, for whatever reason, gets a row that says so.
    `merge` combines the blocks into one table.

    Parameters
    ----------
    catalogue
        FITS, Parquet or ECSV table with one row per spectrum, a folder or a glob pattern; the columns are described at
        `bayne.catalog.read_catalogue`. Priors and starts in the table override those in `options`, for the stars that
        have them.
    emulator
        From `load_emulator`, or anything it accepts.
    output
        Folder; it is created.
    spectra
        Pattern of the paths in the columns of the catalogue, such as ``"spectra/{spectrum_id}.fits"``.
    method, options, seed
        See `fit_star`; ``id`` and ``mask`` belong to one star and are not accepted here.
    block
        Stars per block; a kill loses at most the blocks in progress.
    shard
        ``(i, n)``: of n processes that write into the same folder this is number i, from 0. It does the blocks i,
        i + n, i + 2n, ...
    scheduler
        Address of a Dask scheduler, such as ``"tcp://node:8786"``, whose workers do the blocks. All must see the files
        under the same paths. Needs the extra ``bayne[distributed]``.
    resume
        Go on with the run in the folder; begin one if there is none.
    overwrite
        Replace the run in the folder.
    keep_spectra
        Write the whole result of each star as well (HDF5): draws, spectra, models.
    reading
        Options of `read_spectrum` for all spectra.
    debug
        Raise unexpected errors instead of giving the star a row; their tracebacks are logged otherwise.
    tell
        Called with the share that is done and a line of progress.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ReadError, BayneError
        The catalogue, the emulator or an argument is wrong; the folder has another run, and the message says what
        differs; the disk is full or cannot be written to, the scheduler cannot be reached or goes away: what is written
        is kept.
    """
    known = list(inspect.signature(read_spectrum).parameters)[1:]
    for name in reading:
        if name not in known:
            raise BayneError(f"reading: no option {name!r}. {did_you_mean(name, known)}")
    _check(block, shard, scheduler, resume, overwrite)
    settings = bound_settings(method, {**options, "seed": seed})
    network = emulator if isinstance(emulator, Emulator) else load_emulator(emulator)
    entries = read_catalogue(catalogue, spectra)
    priors, start = dict.fromkeys(entries.priors), dict.fromkeys(entries.starts, 0.0)
    check_arguments(replace(settings, priors=settings.priors | priors, start=settings.start | start), network)
    new = manifest(entries, network, settings, reading=reading, keep_spectra=keep_spectra, block=block)
    work, folder = FitJob(network, settings, dict(reading), debug), Path(output)
    try:
        with nullcontext(fit_blocks) if scheduler is None else _workers(scheduler) as do:
            store = begin(folder, entries, new, resume=resume, overwrite=overwrite, shared=shard[1] > 1)
            _run(store, work, shard, resume, tell, do)
    except OSError as error:
        raise BayneError(f"{error}; whole blocks are kept in {folder}: fix it and go on with resume") from error
    return folder


def _workers(scheduler: str) -> AbstractContextManager[BlockRunner]:
    from .distributed import workers  # Dask: an extra

    return workers(scheduler)


def _check(block: int, shard: tuple[int, int], scheduler: str | None, resume: bool, overwrite: bool) -> None:
    i, n = shard
    if block < 1:
        raise BayneError(f"block = {block}; give 1 or more")
    if not 0 <= i < n:
        raise BayneError(f"shard = {i}/{n}: of n processes they are 0/n, 1/n, ... up to {max(n - 1, 0)}/n")
    if scheduler is not None and n > 1:
        raise BayneError("shard is for processes without a scheduler, which distributes all blocks itself: choose one")
    if resume and overwrite:
        raise BayneError("resume continues the existing run, overwrite replaces it: choose one")
    if overwrite and n > 1:
        raise BayneError("overwrite would remove what other shards have written: remove the folder first")


@dataclass(frozen=True)
class FitJob:
    """How stars are fitted.

    Parameters
    ----------
    emulator
        As given.
    settings
        Of all stars; each adds its own priors and starts.
    reading
        Options of `read_spectrum`.
    debug
        Raise unexpected errors of a star.
    distilled
        By instrument, where the emulator is too costly.
    """

    emulator: Emulator
    settings: Settings
    reading: dict[str, Any]
    debug: bool = False
    distilled: dict[str, Emulator] = field(default_factory=dict)

    def read(self, entries: Sequence[Entry]) -> tuple[list[Spectrum | str], float]:
        """Spectra, or why they cannot be read, and the seconds taken."""
        clock = time.perf_counter()
        found = [
            attempt(partial(read_spectrum, entry.path, **(self.reading | entry.options)), entry.spectrum_id, self.debug)
            for entry in entries
        ]
        return found, time.perf_counter() - clock

    def call(self, entry: Entry, spectrum: Spectrum | str) -> Call:
        """What fits a star, or says why there is no result."""
        if isinstance(spectrum, str):
            return lambda: spectrum
        own = self.settings
        settings = replace(
            own, priors=own.priors | entry.priors, start=own.start | entry.start,
            resolution=entry.resolution or own.resolution,
        )  # fmt: skip
        name = entry.spectrum_id
        # here and not in the call: where many stars are fitted side by side, one distils for all
        network = attempt(partial(self._network, spectrum.instrument), name, self.debug)
        if isinstance(network, str):
            return lambda: network
        return partial(attempt, partial(fit_checked, spectrum, network, settings, name), name, self.debug)

    def _network(self, instrument: str) -> Emulator:
        """The emulator, or what is distilled from it for an instrument."""
        if instrument not in self.distilled:
            self.distilled[instrument] = distilled_if_costly(self.emulator, self.settings, instrument)
        return self.distilled[instrument]


@dataclass(frozen=True)
class WrittenBlock:
    """A block that was written.

    Parameters
    ----------
    index
        Which block.
    flags
        Bad flags of its stars.
    reading, waiting, writing
        Seconds: in the thread that reads, for that thread, and in the one that writes.
    fitting
        Seconds, where another process did the block.
    """

    index: int
    flags: list[Flag]
    reading: float
    waiting: float
    writing: float
    fitting: float = 0.0


#: What does blocks and yields each as it is there.
BlockRunner = Callable[[Store, "FitJob", Sequence[int]], Generator[WrittenBlock, None, None]]


def fit_blocks(store: Store, work: FitJob, blocks: Sequence[int]) -> Generator[WrittenBlock, None, None]:
    """Fit blocks and write them, reading and writing in threads; yields each as it is there.

    Stars go through `fit_concurrently` in one stream: where many are fitted side by side, those of the next block take
    the places of those that have ended.
    """
    size = store.manifest["block"]
    times: dict[int, tuple[float, float]] = {}
    under_way: dict[int, dict[int, FitResult | str]] = {}
    written: deque[Future[WrittenBlock]] = deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        stars = _stars(store, work, blocks, reader, times)
        with closing(fit_concurrently(stars, work.settings.method)) as ends:
            for place, result in ends:
                block = blocks[place // size]  # only the last of all blocks has fewer stars
                results = under_way.setdefault(block, {})
                results[place % size] = result
                if len(results) == store.size(block):
                    done = [results[i] for i in range(len(results))]
                    written.append(writer.submit(_write, store, work, block, done, times.pop(block)))
                    del under_way[block]
                while written and (written[0].done() or len(written) > WAITING):
                    yield written.popleft().result()
        while written:
            yield written.popleft().result()


def _write(
    store: Store, work: FitJob, block: int, results: Sequence[FitResult | str], times: tuple[float, float]
) -> WrittenBlock:
    clock = time.perf_counter()
    flags = store.write(block, results, work.emulator.wavelength)
    return WrittenBlock(block, flags, *times, time.perf_counter() - clock)


def _stars(
    store: Store, work: FitJob, blocks: Sequence[int], pool: Executor, times: dict[int, tuple[float, float]]
) -> Iterator[Call]:
    """What fits the stars of blocks; the next block is read meanwhile."""
    ahead = [pool.submit(work.read, store.entries(block)) for block in blocks[:1]]
    for i, block in enumerate(blocks):
        clock = time.perf_counter()
        spectra, reading = ahead.pop().result()
        times[block] = reading, time.perf_counter() - clock
        ahead = [pool.submit(work.read, store.entries(following)) for following in blocks[i + 1 : i + 2]]
        for star in zip(store.entries(block), spectra, strict=True):
            yield work.call(*star)


def _run(store: Store, work: FitJob, shard: tuple[int, int], resume: bool, tell: Tell, do: BlockRunner) -> None:
    """Do the blocks of a shard that are not there."""
    own = store.blocks[shard[0] :: shard[1]]
    progress = _Progress(sum(map(store.size, own)))
    todo = []
    for block in own:
        try:
            progress.count(store.bad_flags(block))
        except ReadError as error:
            todo.append(block)
            if store.path("rows", block).exists():
                log.warning("%s; the block is made again", error)
    if progress.done and not resume:
        raise BayneError(f"{store.folder} has blocks of shard {shard[0]}/{shard[1]} already: go on with resume")
    tell(progress.share, f"{progress.done} of {progress.total} stars are there")
    with closing(do(store, work, todo)) as blocks:
        for written in blocks:
            progress.add(written)
            store.write_status(shard, progress.status())
            tell(progress.share, str(progress))
    store.write_status(shard, progress.status())


class _Progress:
    """What a process has done of the stars that are its own."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed, self.failures = total, 0, 0, Counter[str]()
        self.here, self.begun = 0, time.perf_counter()
        self.seconds = {"reading": 0.0, "waiting": 0.0, "writing": 0.0, "fitting": 0.0}

    @property
    def share(self) -> float:
        """Of the stars that are there; a shard may have none."""
        return self.done / self.total if self.total else 1.0

    def count(self, flags: Sequence[Flag]) -> None:
        """Stars that are there."""
        self.done += len(flags)
        self.failed += sum(bool(bits) for bits in flags)
        self.failures.update(name for bits in flags for name in bits.names)

    def add(self, block: WrittenBlock) -> None:
        """Stars that were fitted now."""
        self.count(block.flags)
        self.here += len(block.flags)
        for name in self.seconds:
            self.seconds[name] += getattr(block, name)

    def status(self) -> dict[str, Any]:
        """For the status file; times in seconds, but for ``all`` those of all workers together."""
        whole = time.perf_counter() - self.begun
        fitting = self.seconds["fitting"] or whole - self.seconds["waiting"]
        seconds = {"all": whole} | self.seconds | {"fitting": fitting}
        rate = self.here / whole
        return {
            "number": self.total,
            "done": self.done,
            "failed": self.failed,
            "failures": dict(self.failures.most_common()),
            "rate": rate,
            "remaining": (self.total - self.done) / rate if rate else None,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
        }

    def __str__(self) -> str:
        now = self.status()
        left = str(timedelta(seconds=round(now["remaining"])))
        bad = ", ".join(f"{count} {name}" for name, count in now["failures"].items())
        text = f"{self.done} of {self.total} stars, {now['rate']:.3g} a second, {left} left"
        return text + (f"; {self.failed} bad: {bad}" if bad else "")
