"""Files written by rename: whole, or as they were before; what Bayne wrote removed; TOML read; and hashes."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ReadError

#: How often a lock is tried (s), and after how long the process that holds it is taken for dead.
PAUSE, PATIENCE = 0.05, 10.0


@contextmanager
def replacing(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """A path beside `path` to write to: it takes that place when the block is done, and is gone when the block fails.

    Its name is different every time: processes and threads may write the same file, and the last one stays. What a
    killed process leaves is called ``.<name>.<token>.part``.

    Parameters
    ----------
    path
        The file.
    overwrite
        Replace the file if it is there.

    Raises
    ------
    FileExistsError
        The file is there and `overwrite` is False.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    part = unfinished(path)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """A name beside `path` that no other process and thread uses, for what is not finished yet."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time do something short to `path`; the others wait.

    An empty file beside it is the lock: not all file systems have hard links or locks of their own.
    """
    lock, begun = path.with_name(f".{path.name}.lock"), time.monotonic()
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if time.monotonic() - begun > PATIENCE:
                lock.unlink(missing_ok=True)
            time.sleep(PAUSE)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def remove_files(folder: Path, *patterns: str) -> None:
    """Remove the files of a folder whose names match, and what killed processes left of such; other files stay.

    The folder is removed as well if nothing else is in it.
    """
    for pattern in patterns:
        for path in (*folder.glob(pattern), *folder.glob(f".{pattern}.*.part")):
            path.unlink()
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


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
