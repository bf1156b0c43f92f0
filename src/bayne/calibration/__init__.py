"""Reference stars in, corrected emulators and what is left of their errors out."""

from .departures import read_departures
from .reference import Calibrated, calibrate, learn

__all__ = ["Calibrated", "calibrate", "learn", "read_departures"]
