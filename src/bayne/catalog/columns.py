"""The columns of a run: what they are called, what they mean, and how a result fills them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..emulators import Emulator
from ..flags import Flag
from ..inference import FitResult
from ..inference.prepare import Settings
from ..labels import over_hydrogen, pretty, unit
from .catalogue import Entry

#: What an abundance, and every other label, is in the Unified Content Descriptors of the IVOA (UCD1+ 1.5).
_UCD = {
    "teff": "phys.temperature.effective",
    "logg": "phys.gravity",
    "fe_h": "phys.abund.Fe",
    "vmic": "phys.veloc.microTurb",
    "vsini": "phys.veloc.rotat",
    "vmac": "phys.veloc.dispersion",
    "rv": "spect.dopplerVeloc",
}

#: Bits of `Flag` from here on are bad.
SHIFT = 32


class Kind(NamedTuple):
    """A number that each label has: column of the result's table, meaning and UCD (``{}`` for those of the label)."""

    column: str
    meaning: str
    ucd: str
    has_unit: bool = True


_KINDS = {
    "": Kind("median", "{}", "{};stat.median"),
    "_mean": Kind("mean", "{}, mean of the posterior", "{};stat.mean"),
    "_std": Kind("std", "{}, standard deviation of the posterior", "stat.error;{}"),
    "_std_photon": Kind("std_photon", "{}, error if photon noise were all", "stat.error;{};meta.modelled"),
    "_q16": Kind("q16", "{}, 15.87th percentile of the posterior", "{};stat.percentile"),
    "_q84": Kind("q84", "{}, 84.13th percentile of the posterior", "{};stat.percentile"),
    "_upper_95": Kind("upper_95", "{}, 95% upper limit where it is no more", "{};stat.max"),
    "_rhat": Kind("rhat", "{}, rank-normalised split R-hat", "stat.fit.goodness", False),
    "_ess": Kind("ess_bulk", "{}, effective sample size", "stat.value", False),
    "_bound": Kind("crb", "{}, Cramer-Rao bound without priors", "stat.error;{};meta.modelled"),
    "_std_over_bound": Kind("std_over_crb", "{}, error over its bound", "stat.value", False),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name, type
        Its name, and its Arrow type.
    description, unit, ucd
        For people; as in `bayne.labels`; Unified Content Descriptor.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    ucd: str = ""


@dataclass(frozen=True)
class Layout:
    """The columns of a run.

    Parameters
    ----------
    labels
        Labels and velocities that are reported.
    free
        Those of them that are not fixed: the order of the covariance.
    """

    labels: tuple[str, ...]
    free: tuple[str, ...]

    @classmethod
    def of(cls, emulator: Emulator, settings: Settings) -> Layout:
        """What fits with these settings report."""
        labels = settings.reported(emulator)
        return cls(labels, tuple(name for name in labels if name not in settings.fixed))

    @property
    def names(self) -> tuple[str, ...]:
        """Labels and velocities, then the [X/H] that follow from them."""
        return (*self.labels, *over_hydrogen(self.labels))

    def columns(self, arms: Sequence[str] = ()) -> list[Column]:
        """All columns, for spectra with these arms."""
        text, real, whole = pa.string(), pa.float32(), pa.int32()
        size = len(self.free) * (len(self.free) + 1) // 2
        return [
            Column("spectrum_id", text, "name of the spectrum", ucd="meta.id;meta.main"),
            Column("star_id", text, "name of the star, common to its visits", ucd="meta.id.parent"),
            Column("path", text, "file of the spectrum, as the catalogue names it", ucd="meta.ref;meta.file"),
            Column("spectrum_hash", text, "of the spectrum as it was read", ucd="meta.id"),
            Column("ok", pa.bool_(), "no bad flag is set", ucd="meta.code.qual"),
            Column("flag_warn", whole, "warnings: bits 0 to 31 of bayne.Flag", ucd="meta.code.qual"),
            Column("flag_bad", whole, "reasons against the numbers: bits 32 to 62, here 0 to 30", ucd="meta.code.qual"),
            Column("method", text, "method that gave the posterior", ucd="meta.code"),
            *(column for name in self.names for column in _of_label(name)),
            Column(
                "covariance", pa.list_(real, size), "upper triangle by rows, labels as COVNAMES", ucd="stat.covariance"
            ),
            Column("chi2_reduced", real, "chi-square per degree of freedom, photon errors", ucd="stat.fit.chi2"),
            Column("pixels", whole, "pixels that were fitted", ucd="meta.number"),
            *(
                Column(f"snr_{arm}", real, f"median S/N per pixel, arm {arm}", ucd="stat.snr") for arm in arms
            ),
            Column("khat", real, "Pareto k of importance sampling", ucd="stat.fit.goodness"),
            Column("teacher_shift", real, "shift by the emulator's teacher, in errors", ucd="stat.value"),
            Column("seconds", real, "wall time of the fit", "s", "time.duration"),
            Column("message", text, "what the flags cannot say", ucd="meta.note"),
        ]  # fmt: skip

    def row(self, entry: Entry, result: FitResult | str, method: str) -> dict[str, Any]:
        """The row of one star; one without a result has NaN, `Flag.FAILED` and the sentence that is in its place."""
        head = {"spectrum_id": entry.spectrum_id, "star_id": entry.star_id, "path": entry.name}
        if isinstance(result, str):
            empty = {c.name: _empty(c.type) for c in self.columns()}
            return empty | head | _flags(Flag.FAILED) | {"method": method, "message": _line(result)}
        rows = {str(row["label"]): row for row in result.table}
        numbers = {
            name + ending: float(rows[name][kind.column]) for name in self.names for ending, kind in _KINDS.items()
        }
        numbers |= {f"{name}_flag": int(rows[name]["flag"]) for name in self.names}
        where = [result.names.index(name) for name in self.free]
        covariance = result.covariance[np.ix_(where, where)][np.triu_indices(len(where))]
        told = result.diagnostics
        taken = "hmc" if Flag.SAMPLED_INSTEAD in result.flags else result.method
        return (
            head
            | _flags(result.flags)
            | {"method": taken, "spectrum_hash": result.provenance.get("input", {}).get("hash", "")}
            | numbers
            | {"covariance": covariance.tolist(), "pixels": int(told.get("n_pixels", 0))}
            | {name: told.get(name, np.nan) for name in ("chi2_reduced", "khat", "teacher_shift", "seconds")}
            | {name: value for name, value in told.items() if name.startswith("snr_")}
            | {"message": _line(" ".join((*result.flags.bad.sentences(), *result.messages)))}
        )

    def table(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        """Rows as an Arrow table; arms in the order in which the stars bring them."""
        known = {column.name for column in self.columns()}
        arms = dict.fromkeys(name.removeprefix("snr_") for row in rows for name in row if name not in known)
        columns = self.columns(tuple(arms))
        return pa.table(
            {c.name: pa.array([row.get(c.name, np.nan) for row in rows], c.type) for c in columns},
            schema=pa.schema([(c.name, c.type) for c in columns]),
        )


def _of_label(name: str) -> list[Column]:
    """Columns of a label."""
    long, what = _in_words(name), _UCD.get(name, "phys.abund" if unit(name) == "dex" else "phys")
    columns = [
        Column(
            name + ending,
            pa.float32(),
            kind.meaning.format(long),
            unit(name) if kind.has_unit else "",
            kind.ucd.format(what),
        )
        for ending, kind in _KINDS.items()
    ]
    return [*columns, Column(f"{name}_flag", pa.int64(), f"{long}, bits of bayne.Flag", "", "meta.code.qual")]


def _in_words(name: str) -> str:
    words = {"teff": "effective temperature", "logg": "log10 of surface gravity (cgs)", "rv": "radial velocity"}
    return words.get(name, pretty(name))


def _flags(flags: Flag) -> dict[str, Any]:
    warn = int(flags) & ((1 << SHIFT) - 1)
    return {"ok": not flags.bad, "flag_warn": warn, "flag_bad": int(flags) >> SHIFT}


def _empty(kind: pa.DataType) -> Any:
    """What stands where there is no number."""
    if pa.types.is_fixed_size_list(kind):
        return [np.nan] * kind.list_size
    if pa.types.is_floating(kind):
        return np.nan
    return "" if pa.types.is_string(kind) else 0


def _line(text: str) -> str:
    return " ".join(text.split())
