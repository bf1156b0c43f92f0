"""Tables of TOML made into dataclasses; what is wrong is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from .errors import BayneError, ReadError, did_you_mean
from .files import read_toml

T = TypeVar("T")

_KINDS = {"int": "a whole number", "float": "a number", "str": "text"}


def table_of(source: str | Path | Mapping[str, Any], where: str) -> tuple[dict[str, Any], Path, str]:
    """Table of a TOML file or mapping, the folder that its paths are relative to, and what to call it."""
    if isinstance(source, Mapping):
        return dict(source), Path(), where
    return read_toml(Path(source)), Path(source).parent, str(source)


def typed(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Instance of a dataclass from a table; numbers and texts have the types of its fields."""
    values, known = dict(table), {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key, value in table.items():
        if key not in known:
            raise ReadError(f"{where}: unknown key {key!r}. {did_you_mean(key, known)}")
        kind = str(known[key].type)
        if kind == "float" and type(value) is int:
            values[key] = value = float(value)
        if kind in _KINDS and type(value).__name__ != kind:
            raise ReadError(f"{where}: {key} = {value!r}; expected {_KINDS[kind]}")
    for key, f in known.items():
        if key not in table and f.default is f.default_factory is MISSING:
            raise ReadError(f"{where}: {key!r} is missing")
    try:
        return cls(**values)
    except BayneError as error:
        raise ReadError(f"{where}: {error}") from None
