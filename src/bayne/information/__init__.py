"""What a spectrum can know: Fisher matrices and Cramér-Rao bounds."""

from .cramer_rao import STARS, Exposure, cramer_rao, expect
from .exposure import expose
from .fisher import bounds, expand, fisher_matrix
from .result import Bounds
from .sweep import Sweep, reach, sweep

__all__ = [
    "STARS",
    "Bounds",
    "Exposure",
    "Sweep",
    "bounds",
    "cramer_rao",
    "expand",
    "expect",
    "expose",
    "fisher_matrix",
    "reach",
    "sweep",
]
