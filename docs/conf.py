"""Sphinx configuration."""

from __future__ import annotations

import bayne
from bayne.emulators import NETWORKS
from bayne.flags import BAD, SENTENCES, Flag
from bayne.instrument import instrument_names, load_instrument
from bayne.surveys import readers

project = "Bayne"
author = "The Bayne developers"
copyright = "2026, The Bayne developers"
version = release = bayne.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "substitution", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
default_role = "code"

html_theme = "furo"
html_title = "Bayne"
html_copy_source = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


# Tables that are read from the code, so that they cannot go stale.
myst_substitutions = {
    "warning_flags": table(
        ("flag", "bit", "meaning"),
        [(f"`{f.name}`", str(f.bit_length() - 1), SENTENCES[f]) for f in Flag if f not in BAD],
    ),
    "bad_flags": table(
        ("flag", "bit", "meaning"),
        [(f"`{f.name}`", str(f.bit_length() - 1), SENTENCES[f]) for f in Flag if f in BAD],
    ),
    "formats": table(
        ("format", "what it is", "options"),
        [(f"`{r.name}`", r.description, ", ".join(f"`{o}`" for o in r.options) or "none") for r in readers()],
    ),
    "instruments": table(
        ("name", "instrument"), [(f"`{name}`", load_instrument(name).description) for name in instrument_names()]
    ),
    "networks": table(
        ("name", "what it is"), [(f"`{name}`", (NETWORKS[name].__doc__ or "").splitlines()[0]) for name in NETWORKS]
    ),
}
