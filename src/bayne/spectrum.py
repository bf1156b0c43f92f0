"""What was observed: wavelengths, fluxes, errors, masks and the line-spread function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BayneError
from .files import digest

#: Speed of light in km/s (exact, SI).
C_KMS = 299_792.458

#: FWHM of a Gaussian in units of its standard deviation, 2 sqrt(2 ln 2).
FWHM_PER_SIGMA = 2.354820045030949

Frame = Literal["observed", "barycentric", "rest"]
Medium = Literal["vacuum", "air"]
FloatArray = NDArray[np.float64]


def vacuum_to_air(wavelength: ArrayLike) -> FloatArray:
    """Air wavelength of a vacuum wavelength, both in Å.

    Ciddor (1996, Applied Optics 35, 1566), equation 1: standard dry air at 15 °C, 101325 Pa and 450 ppm
    CO2. Its range is 2300 to 16900 Å; it is smooth on to 25000 Å.

    Raises
    ------
    BayneError
        Below 2000 Å, where air is opaque and the formula diverges.
    """
    vacuum = np.asarray(wavelength, dtype=np.float64)
    if np.any(vacuum < 2000.0):
        raise BayneError("air wavelengths are defined from 2000 Å; are these in nm or µm, or vacuum?")
    s2 = (1e4 / vacuum) ** 2
    index = 1.0 + 0.05792105 / (238.0185 - s2) + 0.00167917 / (57.362 - s2)
    return vacuum / index


def air_to_vacuum(wavelength: ArrayLike) -> FloatArray:
    """Vacuum wavelength of an air wavelength, both in Å: the inverse of `vacuum_to_air`, to 1e-12.

    Raises
    ------
    BayneError
        Below 2000 Å.
    """
    air = np.asarray(wavelength, dtype=np.float64)
    vacuum = air * 1.0003  # below any air wavelength's partner, so that the check on the range is right
    for _ in range(4):  # the index changes by 1e-7 per Å: each turn gains four digits and more
        vacuum = air * (vacuum / vacuum_to_air(vacuum))
    return vacuum


def to_vacuum(wavelength: ArrayLike, medium: str) -> FloatArray:
    """Wavelengths of the stated medium as vacuum Å.

    Raises
    ------
    BayneError
        The medium is neither ``"vacuum"`` nor ``"air"``.
    """
    if medium == "vacuum":
        return np.asarray(wavelength, dtype=np.float64)
    if medium == "air":
        return air_to_vacuum(wavelength)
    raise BayneError(f"medium {medium!r}: say 'vacuum' or 'air'")


def within(wavelength: ArrayLike, windows: Iterable[Sequence[float]]) -> NDArray[np.bool_]:
    """True, in the shape of the wavelengths, where they lie in any of the windows (low, high)."""
    wave = np.asarray(wavelength, dtype=np.float64)
    inside = np.zeros(wave.shape, bool)
    for low, high in windows:
        inside |= (wave >= low) & (wave <= high)
    return inside


def as_windows(given: object) -> tuple[tuple[float, float], ...]:
    """Wavelength windows (low, high) from a sequence of pairs, or from one pair.

    Raises
    ------
    BayneError
        It is neither, or a window does not end after it begins.
    """
    pairs = np.asarray(given, dtype=object)
    try:
        windows = np.atleast_2d(pairs.astype(np.float64))
    except (TypeError, ValueError):
        windows = np.zeros((0, 0))
    if windows.ndim != 2 or windows.shape[1] != 2 or not np.all(windows[:, 0] < windows[:, 1]):
        raise BayneError(f"windows {given!r}: give pairs (low, high) in vacuum Å, such as [(5000, 5100), (5160, 5200)]")
    return tuple((float(low), float(high)) for low, high in windows)


@dataclass(frozen=True)
class GaussianLSF:
    """Gaussian line-spread function given by its width at every pixel.

    Parameters
    ----------
    fwhm
        (n,) Å. A constant resolving power is ``wavelength / R``; R(λ) likewise.
    scale_sigma
        Standard deviation of the prior on one factor common to all widths; 0 where the width is trusted.
    includes_pixel
        Whether the width was measured on pixels, so that it contains the pixel's own width.
    """

    fwhm: FloatArray
    scale_sigma: float = 0.0
    includes_pixel: bool = True


@dataclass(frozen=True)
class BandedLSF:
    """Line-spread function as a banded matrix that takes pixel averages to observed pixels.

    Parameters
    ----------
    bands
        (b, n): ``bands[k, j]`` is the matrix element in column ``j`` and row ``j - offsets[k]``, the
        layout of `scipy.sparse.dia_matrix` and of DESI's RESOLUTION extensions.
    offsets
        (b,) integers.
    """

    bands: FloatArray
    offsets: NDArray[np.int64]


LSF = GaussianLSF | BandedLSF


@dataclass(frozen=True)
class Arm:
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
        Line-spread function; None where nothing is known or an emulator contains it.
    name
        Shown in reports and used in the names of per-arm nuisances.

    Raises
    ------
    BayneError
        Shapes differ, or wavelengths are not finite, positive and strictly increasing.
    """

    wavelength: FloatArray
    flux: FloatArray
    ivar: FloatArray | None
    mask: NDArray[np.bool_]
    lsf: LSF | None = None
    name: str = "0"

    def __post_init__(self) -> None:
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
    medium: Medium = "vacuum",
    lsf: LSF | None = None,
    name: str = "0",
) -> Arm:
    """Build an `Arm` from whatever a file has: copies, sorts, converts, and masks what is not finite.

    Parameters
    ----------
    wavelength
        (n,) Å in the stated medium, increasing or decreasing throughout.
    flux
        (n,).
    error, ivar
        (n,) standard deviation or inverse variance, at most one of the two. Errors that are zero, negative
        or not finite become ``ivar = 0``, masked.
    mask
        (n,) True = bad.
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
    bad = np.zeros(value.shape, bool) if mask is None else np.array(mask, dtype=bool)
    weight: FloatArray | None = None
    given = error if error is not None else ivar
    if given is not None:
        given = np.array(given, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            weight = np.where(given > 0, given if error is None else given**-2.0, 0.0)
        unusable = ~np.isfinite(weight) | (weight <= 0)
        weight = np.where(unusable, 0.0, weight)
        if bad.shape == unusable.shape:
            bad |= unusable
    bad |= ~np.isfinite(value)
    value = np.where(np.isfinite(value), value, 0.0)
    if wave.ndim == 1 and wave.size > 1 and wave[0] > wave[-1]:
        wave, value, bad = wave[::-1].copy(), value[::-1].copy(), bad[::-1].copy()
        weight = None if weight is None else weight[::-1].copy()
        lsf = _reversed(lsf)
    return Arm(wave, value, weight, bad, lsf, name)


def _reversed(lsf: LSF | None) -> LSF | None:
    if isinstance(lsf, GaussianLSF):
        return replace(lsf, fwhm=lsf.fwhm[::-1].copy())
    if isinstance(lsf, BandedLSF):
        return BandedLSF(lsf.bands[:, ::-1].copy(), -lsf.offsets)
    return None


@dataclass(frozen=True)
class Spectrum:
    """A star's spectrum in one or several arms. Never modified after it was built.

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
        Unique name of this spectrum; name of the star, common to its visits.
    instrument
        Name of the instrument profile, "" where unknown.
    provenance
        Where it came from: file, reader, header values worth keeping, `hash` as it was read.
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
