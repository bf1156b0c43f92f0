"""Blocks of a catalogue by the workers of a Dask scheduler, who write them into the folder themselves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import BayneError, ReadError
from .catalogue import Catalogue
from .manifest import PACKAGES, refuse_other
from .run import FitJob, WrittenBlock, fit_blocks
from .store import Store, open_store

try:
    from distributed import Client, Future, KilledWorker, WorkerPlugin, as_completed, get_worker
except ModuleNotFoundError:
    raise BayneError("a scheduler needs an extra: pip install 'bayne[distributed]'") from None

log = logging.getLogger("bayne")

#: Seconds until a scheduler that does not answer counts as gone.
TIMEOUT = 10.0

#: Blocks that a scheduler is given ahead: enough for hundreds of workers, where millions would fill its memory.
AHEAD = 1000


class Fitter(WorkerPlugin):
    """What each worker process has once for all its blocks, also one that joins later or takes the place of a lost one.

    Parameters
    ----------
    work
        How stars are fitted.
    folder, root
        Of the run, and where paths of the catalogue start from.
    """

    def __init__(self, work: FitJob, folder: Path, root: Path) -> None:
        self.work, self.folder, self.root = work, folder, root

    @cached_property
    def store(self) -> Store:
        """The folder, as this process sees it."""
        try:
            found = open_store(self.folder)
        except ReadError as error:
            raise ReadError(f"{error}. All workers must see the files under the same paths") from None
        own = {name: version(name) for name in PACKAGES}
        refuse_other(self.folder, found.manifest, found.manifest | {"versions": own})
        return replace(found, catalogue=Catalogue(found.catalogue.table, self.root))

    def fit_block(self, block: int) -> WrittenBlock:
        """Fit a block and write it."""
        clock = time.perf_counter()
        (written,) = fit_blocks(self.store, self.work, [block])
        return replace(written, fitting=time.perf_counter() - clock - written.waiting - written.writing)


def _fit(plugin: str, block: int) -> WrittenBlock:
    """The task."""
    worker = get_worker()
    try:
        return worker.plugins[plugin].fit_block(block)
    except BayneError as error:
        raise type(error)(f"worker {worker.address}: {error}") from error


@contextmanager
def workers(scheduler: str) -> Iterator[Callable[[Store, FitJob, Sequence[int]], Generator[WrittenBlock, None, None]]]:
    """Take the place of `fit_blocks`: the same blocks, by the workers of a scheduler, as they end.

    A block whose worker is lost is given to another one. An exception in a task, which no other worker would be spared,
    is raised here.

    Parameters
    ----------
    scheduler
        Its address, such as ``"tcp://node:8786"``.

    Raises
    ------
    BayneError
        The scheduler cannot be reached, or goes away; too many workers died with a block.
    """
    try:
        client = Client(scheduler, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BayneError(
            f"scheduler {scheduler!r} cannot be reached: {error}. Give its address, such as tcp://node:8786"
        ) from None
    noise = logging.getLogger("distributed.client")
    level = noise.level
    noise.setLevel(logging.CRITICAL)  # tracebacks of a lost connection, of which we say what it means
    try:
        with client:
            yield partial(_blocks, client)
    finally:
        noise.setLevel(level)


def _blocks(client: Client, store: Store, work: FitJob, blocks: Sequence[int]) -> Generator[WrittenBlock, None, None]:
    folder, gone = store.folder.absolute(), f"scheduler {client.scheduler.address} went away; "
    kept = f"whole blocks are kept in {store.folder}: go on with resume"
    plugin, left = f"bayne {folder}", iter(blocks)

    def submitted(most: int) -> list[Future]:
        # keys of this client only: what another one has left under way is not taken for ours
        return [client.submit(_fit, plugin, i, key=(f"fit-{client.id}", i)) for i in islice(left, most)]

    error: Any = None
    try:
        client.register_plugin(Fitter(work, folder, store.catalogue.root.absolute()), plugin)
        if not client.nthreads():
            log.warning("scheduler %s has no workers yet: waiting for them", client.scheduler.address)
        ends = as_completed(submitted(AHEAD), loop=client.loop)
        for future in ends:
            if future.status == "error":
                error = future.exception().with_traceback(future.traceback())
                break
            yield future.result()
            ends.update(submitted(1))
        else:
            client.unregister_worker_plugin(plugin)
    except KilledWorker as found:  # the workers that had a result died before it was fetched
        error = found
    except (CancelledError, OSError) as lost:
        raise BayneError(gone + kept) from lost
    if isinstance(error, KilledWorker):
        block = error.task[1]
        names = [entry.spectrum_id for entry in store.entries(block)]
        raise BayneError(
            f"block {block}, {names[0]!r} to {names[-1]!r}: {error.allowed_failures + 1} workers died that had it, or "
            f"had it next (allowed-failures of the scheduler); see their logs, and whether memory was enough; {kept}"
        )
    if error is not None:
        raise error
