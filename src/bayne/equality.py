"""Equality of dataclasses that hold arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


class EqualByContent:
    """Equality of dataclasses whose fields may be arrays."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_equal(getattr(self, name), getattr(other, name)) for name in vars(self))

    __hash__ = None  # type: ignore[assignment]  # arrays have none


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return not isinstance(other, np.ndarray) and bool(one == other)
