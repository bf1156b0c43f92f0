"""Sphinx configuration."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from typer.main import get_command
from typer.testing import CliRunner

import bayne
from bayne.cli import app
from bayne.emulators import NETWORKS
from bayne.flags import BAD, SENTENCES, Flag
from bayne.instrument import instrument_names, load_instrument
from bayne.surveys import readers

project = "Bayne"
author = "The Bayne developers"
copyright = "2026, The Bayne developers"
version = release = bayne.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "substitution", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

# The tutorials are notebooks: they run again when one of their cells has changed.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # ArviZ and BlackJAX warn of changes to come
default_role = "code"

html_theme = "furo"
html_title = "Bayne"
html_static_path = ["_static"]
html_css_files = ["bayne.css"]
html_math_renderer = "mathml"
html_copy_source = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_type_aliases = {"FloatArray": "FloatArray", "ArrayLike": "ArrayLike", "LSF": "LSF"}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


def help_of(*command: str) -> str:
    """What ``--help`` prints, as a block of code."""
    text = CliRunner().invoke(app, [*command, "--help"], prog_name="bayne", env={"COLUMNS": "90"}).output
    return f"```text\n{text.strip()}\n```"


# Tables and help texts are read from the code, so that they cannot go stale.
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
    **{f"help_{command.replace('-', '_')}": help_of(command) for command in get_command(app).commands},
}


def mathml(display: str) -> Any:
    """Visitor that writes a formula as MathML, which browsers show without scripts or a network."""

    def visit(self: Any, node: Any) -> None:
        self.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit, None


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", mathml("inline"), mathml("block"))
