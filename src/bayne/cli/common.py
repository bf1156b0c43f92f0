"""What all commands share: errors in one line, logging, the compilation cache, options."""

from __future__ import annotations

import inspect
import logging
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..cache import cache_folder
from ..errors import BayneError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from ..spectrum import Spectrum

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
    """How much the commands tell."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class Medium(StrEnum):
    """Medium of wavelengths."""

    vacuum = "vacuum"
    air = "air"


class Frame(StrEnum):
    """Frame of wavelengths."""

    observed = "observed"
    barycentric = "barycentric"
    rest = "rest"


Seed = Annotated[int, typer.Option(help="Root of the random numbers.")]
RootSeed = Annotated[
    int | None, typer.Option("--seed", help="Root of the random numbers. [default: the configuration's, else 0]")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Level = Annotated[
    LogLevel | None,
    typer.Option("--log-level", help="What is told on stderr. [default: info on a terminal, else warning]"),
]
Format = Annotated[str | None, typer.Option("--format", help="File format; recognised where left out.")]
MediumOption = Annotated[Medium | None, typer.Option("--medium", help="For files that do not state it.")]
FrameOption = Annotated[Frame | None, typer.Option("--frame", help="For files that do not state it.")]
ReadOptions = Annotated[
    list[str],
    typer.Option(
        "--read",
        metavar="OPTION=VALUE",
        help="Other option of the format, such as row=3 or visit=1; repeatable. 'bayne info' lists them.",
        default_factory=list,
        show_default=False,
    ),
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


def read(path: Path, format: str | None, medium: Medium | None, frame: Frame | None, options: list[str]) -> Spectrum:
    """Call `bayne.read_spectrum` with the options of the command line."""
    from ..surveys import read_spectrum

    return read_spectrum(path, **reading(format, medium, frame, options))


def reading(format: str | None, medium: Medium | None, frame: Frame | None, options: list[str]) -> dict[str, Any]:
    """Arguments of `bayne.read_spectrum` besides the path."""
    from ..surveys import read_spectrum

    known = list(inspect.signature(read_spectrum).parameters)[2:]
    given: dict[str, Any] = {} if format is None else {"format": format}
    for text in options:
        name, value = split(text, "--read", "row=3")
        if name not in known:
            raise typer.BadParameter(f"no reading option {name!r}. {did_you_mean(name, known)}", param_hint="--read")
        given[name] = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
    if medium is not None:
        given["medium"] = medium.value
    if frame is not None:
        given["frame"] = frame.value
    return given


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
