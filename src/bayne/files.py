"""Files written by rename: whole, or as they were before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """A path beside `path` to write to: it takes that place when the block is done, and is gone when the block fails.

    Raises
    ------
    FileExistsError
        The file is there and `overwrite` is False.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
