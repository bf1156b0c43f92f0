"""What a spectrum can know: Fisher matrices and Cramér-Rao bounds."""

from .cramer_rao import STARS, Exposure, cramer_rao, expect
from .exposure import expose
from .fisher import cramer_rao_bounds
from .result import Bounds
from .sweep import Sweep, required_snr, sweep

__all__ = [
    "STARS",
    "Bounds",
    "Exposure",
    "Sweep",
    "cramer_rao_bounds",
    "cramer_rao",
    "expect",
    "expose",
    "required_snr",
    "sweep",
]
