"""What a spectrum can know: Fisher matrices and Cramér-Rao bounds."""

from .cramer_rao import STARS, Exposure, cramer_rao, prepare_exposure
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
    "prepare_exposure",
    "expose",
    "required_snr",
    "sweep",
]
