"""Reference stars in, corrected emulators and what is left of their errors out."""

from .departures import read_departures
from .discrepancy import label_discrepancy
from .grades import graded_strengths
from .reference import Calibrated, calibrate, learn

__all__ = ["Calibrated", "calibrate", "graded_strengths", "label_discrepancy", "learn", "read_departures"]
