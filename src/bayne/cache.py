"""Where files are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$BAYNE_CACHE, else ``bayne`` in $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("BAYNE_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bayne"
