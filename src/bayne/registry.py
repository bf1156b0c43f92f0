"""Tables of things that are chosen by name, to which others can be added."""

from __future__ import annotations

from typing import TypeVar

from .errors import BayneError, did_you_mean

T = TypeVar("T")


class Registry(dict[str, T]):
    """Things by name; `add` gives a name once, and `named` helps with one that is unknown.

    Parameters
    ----------
    what
        One of them in messages, with ``{!r}`` in place of its name.
    error
        What `named` raises.
    """

    def __init__(self, what: str, error: type[BayneError] = BayneError) -> None:
        self.what, self.error = what, error

    def add(self, name: str, thing: T) -> T:
        """Make `thing` known under a name, and return it; `BayneError` where something else has the name."""
        # a notebook's cell that runs again defines the same class or function anew
        if name in self and getattr(self[name], "__qualname__", None) != getattr(thing, "__qualname__", ""):
            raise BayneError(f"{self.what.format(name)} is registered already")
        self[name] = thing
        return thing

    def named(self, name: str) -> T:
        """The thing of this name; `error`, which says the likely name, where there is none."""
        if name not in self:
            raise self.error(f"unknown {self.what.format(name)}. {did_you_mean(name, self)}")
        return self[name]
