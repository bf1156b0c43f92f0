"""Files written by rename: whole, or as they were before; TOML read; and hashes."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ReadError


@contextmanager
def replacing(path: Path, overwrite: bool = True, writer: str = "") -> Iterator[Path]:
    """A path beside `path` to write to: it takes that place when the block is done, and is gone when the block fails.

    Parameters
    ----------
    path
        The file.
    overwrite
        Replace the file if it is there.
    writer
        Name of this process, where others may write the same file at the same time.

    Raises
    ------
    FileExistsError
        The file is there and `overwrite` is False.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    part = path.with_name(f".{path.name}{'.' * bool(writer)}{writer}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a configuration file.

    Raises
    ------
    ReadError
        The file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReadError(f"{path}: no such configuration") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ReadError(f"{path}: not TOML ({error})") from None


def digest(arrays: Mapping[str, Any], *texts: str) -> str:
    """SHA-256 of texts and of arrays with their names, 16 digits."""
    found = hashlib.sha256("".join(texts).encode())
    for name in sorted(arrays):
        found.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()[:16]
