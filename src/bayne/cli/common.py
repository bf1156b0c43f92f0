"""What all commands share: errors in one line, logging, the compilation cache, options."""

from __future__ import annotations

import logging
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..cache import cache_folder
from ..errors import BayneError

if TYPE_CHECKING:
    from rich.console import Console

#: Exit code of a command that finished, but whose star carries a BAD flag.
STAR_FAILED = 3


class Commands(TyperGroup):
    """Turns the errors that a user can mend into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output went away: not an error to report
        except (BayneError, OSError) as error:
            typer.echo("error: " + " ".join(str(error).split()), err=True)
            raise typer.Exit(1) from None


class LogLevel(StrEnum):
    """Verbosity of the commands."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


Seed = Annotated[int, typer.Option(help="Random seed.")]
RootSeed = Annotated[int | None, typer.Option("--seed", help="Random seed. [default: the configuration's, else 0]")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Level = Annotated[
    LogLevel | None,
    typer.Option("--log-level", help="Log level on stderr. [default: info on a terminal, else warning]"),
]


def console() -> Console:
    """Console of the results on stdout; square brackets are text, not markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def set_up(level: LogLevel | None) -> None:
    """Prepare the process of a command: logging, warnings of imports, compilation cache."""
    from rich.console import Console
    from rich.logging import RichHandler

    stderr = Console(stderr=True)
    chosen = level or (LogLevel.info if stderr.is_terminal else LogLevel.warning)
    logger = logging.getLogger("bayne")
    logger.handlers = [RichHandler(console=stderr, show_path=False, markup=False)]
    logger.setLevel(chosen.value.upper())
    # ArviZ announces its next version on every import: nothing that the user of a command can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module="arviz")
    cache_compilations()


def cache_compilations() -> None:
    """Keep what JAX compiles on disk, so that the next command of the same shape starts at once."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))  # type: ignore[no-untyped-call]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)  # type: ignore[no-untyped-call]


def refuse_existing(paths: list[Path], overwrite: bool) -> None:
    """Raise before any long work when a file is in the way.

    Raises
    ------
    FileExistsError
        Names the files and the option that replaces them.
    """
    there = [str(path) for path in paths if path.exists()]
    if there and not overwrite:
        raise FileExistsError(f"{', '.join(there)}: exists already; --overwrite replaces it")


def split(text: str, option: str, example: str) -> tuple[str, str]:
    """The two sides of ``name=value``.

    Raises
    ------
    typer.BadParameter
        There is no ``=``, or nothing on one side of it.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise typer.BadParameter(f"{text!r} should look like {example}", param_hint=option)
    return name, value


def number(text: str, option: str, example: str) -> float:
    """A finite number.

    Raises
    ------
    typer.BadParameter
        The text is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise typer.BadParameter(f"{text!r} is not a number; write it like {example}", param_hint=option)
    return value
