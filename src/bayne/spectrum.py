"""What was observed: wavelengths, fluxes, errors, masks and the line-spread function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .equality import EqualByContent
from .errors import BayneError
from .files import digest
from .lsf import LSF, BandedLSF, GaussianLSF
from .wavelength import in_angstrom, pieces, to_vacuum

#: Equal fluxes in a row that no noise leaves.
FILLED = 20

Frame = Literal["observed", "barycentric", "rest"]
Medium = Literal["vacuum", "air"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arm(EqualByContent):
    """One contiguous piece of a spectrum: an arm, a chip or an echelle order.

    Parameters
    ----------
    wavelength
        (n,) vacuum Å, strictly increasing, pixel centres.
    flux
        (n,) any unit.
    ivar
        (n,) inverse variance of the flux, 0 = no information; None where the file gives no errors.
    mask
        (n,) True = bad.
    lsf
        Line-spread function; None if unknown, or if the emulator includes it.
    name
        Shown in reports and used in the names of per-arm nuisance parameters and file variables; no slash.

    Raises
    ------
    BayneError
        Shapes differ; wavelengths are not finite, positive and strictly increasing; the name is empty or has a slash.
    """

    wavelength: FloatArray
    flux: FloatArray
    ivar: FloatArray | None
    mask: NDArray[np.bool_]
    lsf: LSF | None = None
    name: str = "0"

    def __post_init__(self) -> None:
        for what in ("wavelength", "flux", "ivar"):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, np.asarray(getattr(self, what), dtype=np.float64))
        object.__setattr__(self, "mask", np.asarray(self.mask, dtype=bool))
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise BayneError(f"arm name {self.name!r}: give text without '/'")
        n = np.shape(self.wavelength)
        for what in ("flux", "ivar", "mask"):
            value = getattr(self, what)
            if value is not None and np.shape(value) != n:
                raise BayneError(f"arm {self.name!r}: {what} has shape {np.shape(value)}, wavelength has {n}")
        if len(n) != 1 or n[0] < 2:
            raise BayneError(f"arm {self.name!r}: wavelength must be one-dimensional with at least two pixels, got {n}")
        if not np.all(np.isfinite(self.wavelength)) or self.wavelength[0] <= 0:
            raise BayneError(f"arm {self.name!r}: wavelengths must be finite and positive (vacuum Å)")
        step = np.diff(self.wavelength)
        if not np.all(step > 0):
            raise BayneError(
                f"arm {self.name!r}: wavelength does not increase at pixel {int(np.argmax(step <= 0)) + 1}; "
                "sort it, or split overlapping orders into arms"
            )

    @property
    def good(self) -> NDArray[np.bool_]:
        """(n,) True where the pixel carries information."""
        good = ~self.mask & np.isfinite(self.flux)
        return good if self.ivar is None else good & (self.ivar > 0)


def make_arm(
    wavelength: ArrayLike,
    flux: ArrayLike,
    *,
    error: ArrayLike | None = None,
    ivar: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reasons: Mapping[str, NDArray[np.bool_]] = {},
    counts: dict[str, int] | None = None,
    medium: Medium = "vacuum",
    lsf: LSF | None = None,
    name: str = "0",
) -> Arm:
    """Build an `Arm` from whatever a file has: copies, sorts, converts, and masks what carries no information.

    Masked are fluxes that are not finite ("not finite"), errors below zero ("negative error"), errors that are not
    finite or say that nothing was measured ("no information"), and gaps that were filled with a constant, as merged
    echelle orders have them ("filled gap"): `FILLED` or more equal fluxes in a row, less than half of the arm in all.

    Parameters
    ----------
    wavelength
        (n,) Å in the stated medium, increasing or decreasing throughout.
    flux
        (n,).
    error, ivar
        (n,) standard deviation or inverse variance, at most one of the two. What is no error becomes ``ivar`` 0.
    mask
        (n,) True = bad.
    reasons
        Further (n,) masks, by name.
    counts
        Masked pixels so far, by reason; added to.
    medium, lsf, name
        See `Arm`; an LSF is given in the order of the input.

    Raises
    ------
    BayneError
        Both errors and inverse variances, an unknown medium, or what `Arm` refuses.
    """
    if error is not None and ivar is not None:
        raise BayneError("give error or ivar, not both")
    wave = to_vacuum(wavelength, medium).copy()
    value = np.array(flux, dtype=np.float64)
    why = {name: np.asarray(where, dtype=bool) for name, where in reasons.items()}
    if mask is not None:
        why["masked"] = np.asarray(mask, dtype=bool)
    why["not finite"] = ~np.isfinite(value)
    weight: FloatArray | None = None
    if error is not None or ivar is not None:
        spread = np.array(error if error is not None else ivar, dtype=np.float64)
        why["negative error"] = spread < 0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            weight = np.where(spread > 0, spread if error is None else spread**-2.0, 0.0)
        why["no information"] = ~(np.isfinite(spread) & np.isfinite(weight) & ((weight > 0) | (spread < 0)))
    for what, where in why.items():
        if where.shape != value.shape:
            raise BayneError(f"arm {name!r}: {what} has shape {where.shape}, flux has {value.shape}")
    bad = np.logical_or.reduce(list(why.values()))
    why["filled gap"] = _filled(value) & ~bad
    bad |= why["filled gap"]
    if counts is not None:
        for reason, where in why.items():
            if where.any():
                counts[reason] = counts.get(reason, 0) + int(where.sum())
    if weight is not None:
        weight = np.where(np.isfinite(weight), weight, 0.0)
    value = np.where(np.isfinite(value), value, 0.0)
    if wave.ndim == 1 and wave.size > 1 and wave[0] > wave[-1]:
        wave, value, bad = wave[::-1].copy(), value[::-1].copy(), bad[::-1].copy()
        weight = None if weight is None else weight[::-1].copy()
        lsf = _reversed(lsf)
    return Arm(wave, value, weight, bad, lsf, name)


def _filled(flux: FloatArray) -> NDArray[np.bool_]:
    """(n,) True in runs of `FILLED` or more equal values; nowhere where these are half of all or more."""
    if flux.ndim != 1:
        return np.zeros(flux.shape, bool)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(flux) != 0]))
    length = np.diff(np.append(starts, flux.size))
    filled = np.repeat(length >= FILLED, length)
    return filled & (2 * filled.sum() < flux.size)


def make_arms(
    wavelength: ArrayLike,
    flux: ArrayLike,
    *,
    name: str | None = None,
    error: ArrayLike | None = None,
    ivar: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    counts: dict[str, int] | None = None,
    medium: Medium = "vacuum",
) -> list[Arm]:
    """Arms as `make_arm` builds them: one, or where wavelengths jump back, as those of overlapping orders do, several.

    Parameters
    ----------
    name
        Of the arm; several are called ``<name>-0``, ``<name>-1``, ..., and without a name 0, 1, ...
    wavelength, flux, error, ivar, mask, counts, medium
        See `make_arm`.

    Raises
    ------
    BayneError
        The wavelengths are not in order; see also `make_arm`.
    """
    wave = np.asarray(wavelength, dtype=np.float64)
    columns = {"flux": flux, "error": error, "ivar": ivar, "mask": mask}
    known: dict[str, Any] = {key: np.asarray(column) for key, column in columns.items() if column is not None}
    for key, column in known.items():
        if column.shape != wave.shape:
            raise BayneError(f"arm {name or '0'!r}: {key} has shape {column.shape}, wavelength has {wave.shape}")
    parts = pieces(wave) if wave.ndim == 1 else [slice(None)]
    names = [name or "0"] if len(parts) == 1 else [f"{name}-{i}" if name else str(i) for i in range(len(parts))]
    return [
        make_arm(
            wave[part],
            **{key: column[part] for key, column in known.items()},
            counts=counts,
            medium=medium,
            name=own,
        )
        for part, own in zip(parts, names, strict=True)
    ]


def _reversed(lsf: LSF | None) -> LSF | None:
    if isinstance(lsf, GaussianLSF):
        return replace(lsf, fwhm=lsf.fwhm[::-1].copy())
    if isinstance(lsf, BandedLSF):
        return BandedLSF(lsf.bands[:, ::-1].copy(), -lsf.offsets)
    return None


@dataclass(frozen=True, eq=False)
class Spectrum(EqualByContent):
    """A star's spectrum in one or more arms. Immutable.

    Parameters
    ----------
    arms
        Arms or orders; their wavelengths may overlap.
    frame
        ``"observed"`` (topocentric), ``"barycentric"`` or ``"rest"``. Wavelengths stay as in the file.
    bary_kms
        Velocity to add to an observed-frame velocity to make it barycentric (km/s); None where unknown.
    normalized
        Whether the flux has been divided by a continuum.
    id, star_id
        Unique name of this spectrum; name of the star, shared by its visits.
    instrument
        Name of the instrument profile, "" where unknown.
    provenance
        Origin: file, reader, header values worth keeping, `hash` as read.
    counts
        Pixels masked and why: ``{"not finite": 3, ...}``.
    """

    arms: tuple[Arm, ...]
    frame: Frame = "observed"
    bary_kms: float | None = None
    normalized: bool = False
    id: str = "spectrum"
    star_id: str = ""
    instrument: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arms:
            raise BayneError("a spectrum needs at least one arm")
        if self.frame not in ("observed", "barycentric", "rest"):
            raise BayneError(f"frame {self.frame!r}: say 'observed', 'barycentric' or 'rest'")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise BayneError(f"arm names must differ, got {names}")

    @classmethod
    def from_arrays(
        cls,
        wavelength: Any,
        flux: Any,
        error: Any = None,
        *,
        ivar: Any = None,
        mask: Any = None,
        medium: Medium,
        unit: str | None = None,
        resolution: float | None = None,
        instrument: str = "",
        frame: Frame = "observed",
        bary_kms: float | None = None,
        normalized: bool = False,
        names: Sequence[str] | None = None,
        id: str = "spectrum",
        star_id: str = "",
    ) -> Spectrum:
        """A spectrum from arrays of any origin.

        Parameters
        ----------
        wavelength, flux
            (n,) numbers; or a sequence of such arrays, one for each arm or order. Where one array of wavelengths jumps
            back, as in orders one after the other, each piece becomes an arm.
        error, ivar
            Standard deviation or inverse variance in the same form, at most one of the two. Without either, the noise
            is estimated from the spectrum, unless `fit_star` gets the S/N.
        mask
            True = bad, in the same form.
        medium
            ``"air"`` or ``"vacuum"``. Wavelengths in air are converted.
        unit
            Of the wavelengths, such as ``"nm"``; None for the array's own unit (a `Quantity` or a table column), or Å
            if it has none.
        resolution
            R = λ/FWHM; None if the instrument or `fit_star` gives it.
        instrument
            Name of a profile, see `load_instrument`.
        frame, bary_kms, normalized, id, star_id
            See `Spectrum`.
        names
            Of the arms; 0, 1, ... by default.

        Returns
        -------
        Spectrum
            Pixels that are not finite or have zero error, and gaps filled with a constant, are masked and counted.

        Raises
        ------
        BayneError
            Arrays differ in length or number, wavelengths are in another unit or not in order, the medium is unknown;
            see also `make_arm` and `Spectrum`.

        Examples
        --------
        >>> import numpy as np
        >>> wavelength = np.linspace(480.0, 490.0, 2000)
        >>> star = Spectrum.from_arrays(wavelength, np.ones(2000), medium="air", unit="nm", resolution=28_000)
        >>> star.arms[0].wavelength[0].round(2)
        4801.34
        """
        columns = {"wavelength": wavelength, "flux": flux, "error": error, "ivar": ivar, "mask": mask}
        columns = {key: column for key, column in columns.items() if column is not None}
        several = np.ndim(wavelength[0]) == 1
        arms = {key: list(column) if several else [column] for key, column in columns.items()}
        number = len(arms["wavelength"])
        for key, column in arms.items():
            if len(column) != number:
                raise BayneError(f"{key} has {len(column)} arrays, wavelength has {number}: give one for each arm")
        if names is not None and len(names) != number:
            raise BayneError(f"{len(names)} names for {number} arms")
        counts: dict[str, int] = {}
        made = []
        for i in range(number):
            own = {key: column[i] for key, column in arms.items()}
            wave = own.pop("wavelength")
            wave = in_angstrom(wave, unit or str(getattr(wave, "unit", None) or "Angstrom"))
            own_name = names[i] if names is not None else str(i) if several else None
            made += make_arms(wave, **own, medium=medium, counts=counts, name=own_name)
        spectrum = cls(
            arms=tuple(made), frame=frame, bary_kms=bary_kms, normalized=normalized, id=id, star_id=star_id,
            instrument=instrument, provenance={"format": "arrays"}, counts=counts,
        )  # fmt: skip
        spectrum = replace(spectrum, provenance=spectrum.provenance | {"hash": spectrum.hash})
        return spectrum if resolution is None else spectrum.with_resolution(resolution)

    @property
    def n_good(self) -> int:
        """Pixels that carry information, over all arms."""
        return int(sum(arm.good.sum() for arm in self.arms))

    @property
    def hash(self) -> str:
        """Of what was observed, as it was read: pixels, line-spread functions, frame.

        Wavelengths in vacuum are computed on reading, so that it is the same on machines and versions of libraries
        that compute alike.
        """
        arrays: dict[str, Any] = {}
        for arm in self.arms:
            own = {"wavelength": arm.wavelength, "flux": arm.flux, "ivar": arm.ivar, "mask": arm.mask}
            own |= {} if arm.lsf is None else vars(arm.lsf)
            arrays |= {f"{arm.name} {key}": value for key, value in own.items() if value is not None}
        velocity = "" if self.bary_kms is None else float(self.bary_kms).hex()
        return digest(arrays, self.frame, velocity, str(bool(self.normalized)))

    def with_resolution(self, resolution: float) -> Spectrum:
        """The same spectrum with a Gaussian LSF of constant resolving power R = λ/FWHM on every arm.

        Raises
        ------
        BayneError
            The resolution is not positive.
        """
        if not resolution > 0:
            raise BayneError(f"resolution {resolution}: give R = λ/FWHM, a positive number")
        arms = tuple(replace(arm, lsf=GaussianLSF(arm.wavelength / resolution)) for arm in self.arms)
        return replace(self, arms=arms)

    def with_mask(self, bad: Sequence[NDArray[np.bool_]]) -> Spectrum:
        """The same spectrum with more pixels masked: one (n,) array for every arm, True = bad.

        Raises
        ------
        BayneError
            The number of arrays is not that of the arms, or one is not as long as its arm.
        """
        if len(bad) != len(self.arms):
            raise BayneError(f"mask: {len(self.arms)} arms need as many arrays, got {len(bad)}")
        for arm, given in zip(self.arms, bad, strict=True):
            if np.shape(given) != arm.mask.shape:
                raise BayneError(f"mask: arm {arm.name!r} has {arm.mask.size} pixels, its mask has {np.shape(given)}")
        return replace(
            self, arms=tuple(replace(a, mask=a.mask | np.asarray(b, bool)) for a, b in zip(self.arms, bad, strict=True))
        )
