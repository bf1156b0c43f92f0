"""Figures and HTML pages."""

from .bounds import bounds_page
from .catalogue import write_catalogue_page
from .comparison import comparison_page
from .evaluation import evaluation_page
from .page import report

__all__ = ["bounds_page", "comparison_page", "evaluation_page", "report", "write_catalogue_page"]
