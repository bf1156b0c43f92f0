"""Figures and HTML pages."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .bounds import bounds_page
from .catalogue import write_catalogue_page
from .comparison import comparison_page
from .evaluation import evaluation_page
from .page import report

__all__ = ["bounds_page", "comparison_page", "evaluation_page", "report", "write_catalogue_page"]


class _Callable(ModuleType):
    # The function and its package share the public name bayne.report: whichever of them Python bound to it
    # first, bayne.report(result, path) works.
    def __call__(self, *args: Any, **kwargs: Any) -> Path:
        return report(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
