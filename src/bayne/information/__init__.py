"""What a spectrum can know: Fisher matrices and Cramér-Rao bounds."""

from .fisher import bounds, expand, fisher_matrix

__all__ = ["bounds", "expand", "fisher_matrix"]
