"""The errors Bayne raises, and the help they give."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BayneError(ValueError):
    """An error that the caller can fix: the message says what is wrong and what would be right."""


class ReadError(BayneError):
    """A file could not be read."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Sentence that names the likely spelling of an unknown name.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that would have been right.

    Returns
    -------
    str
        ``"Did you mean 'mg_fe'? Known: ..."``; the question is left out where nothing is close.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    question = f"Did you mean {close[0]!r}? " if close else ""
    return f"{question}Known: {', '.join(known) or 'none'}."
