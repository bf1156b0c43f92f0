"""From a rest-frame model spectrum to the pixels of an instrument."""

from .lsf import TooSharp
from .plan import VELOCITY_MARGIN, Arrays, ForwardStatic, Plan, observe, plan

__all__ = ["VELOCITY_MARGIN", "Arrays", "ForwardStatic", "Plan", "TooSharp", "observe", "plan"]
