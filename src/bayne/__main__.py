"""``python -m bayne``."""

from .cli import main

main()
