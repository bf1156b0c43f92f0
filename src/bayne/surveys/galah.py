"""GALAH spectra (HERMES): one file per CCD, joined to one spectrum per star."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import Instrument, load_instrument
from ..lsf import GaussianLSF
from ..spectrum import Arm, Spectrum, make_arm
from .build import origin
from .fits_files import image, keep, linear_grid, number, open_fits, value
from .registry import Peek, register
from .stated import velocity

INSTRUMENT = "hermes"

#: Pixels whose telluric transmission is below this are masked. The flux has been divided by the fitted
#: transmission, but the errors do not know: in the Vesta spectra the scatter from pixel to pixel at a
#: transmission of 0.9 to 0.95 is twice that of the clean continuum, and 0.95 to 0.98 still 1.5 times.
TELLURIC = 0.95

KEPT = (
    *("OBJ_NAME", "GAIA_ID", "2MASS_ID", "PIPE_VER", "UTMJD", "EXPOSED", "BARYEFF", "RVCOM", "E_RVCOM", "RVCOM_OK"),
    *("TEFF_R", "LOGG_R", "FE_H_R", "A_FE_R", "VMIC_R", "VBROAD_R", "PAR_OK"),
)

KEPT_PER_CCD = ("SNR", "B", "RV", "E_RV", "WAV_RMS", "WAV_OK", "CROSS_OK", "TRACE_OK")

_SOBJECT = re.compile(r"^(\d{15})[1-4]?$")


def recognise(peek: Peek) -> bool:
    """One CCD of the reduction, or the common stem of a star's four files."""
    if peek.kind == "missing":
        return bool(_siblings(peek.path))
    return {"NORMALIZED", "RELATIVE_ERROR", "RESOLUTION_PROFILE"} <= set(peek.extensions)


@register("galah", "GALAH spectrum, four CCDs", recognise)
def read(path: Path) -> Spectrum:
    """Read all CCDs of a star that are there, from any of its files or from their common stem.

    Files of GALAH reduction 6: counts, relative error, telluric transmission and the width of the
    line-spread function at every pixel; air wavelengths, moved to the barycentre where the header's
    ``BARYEFF`` is a number and as observed where it is not. The profile is exp(-ln 2 |2x/w|^B) with the
    header's boxiness B: the Gaussian of the same second moment is given, narrower than w for B > 2.
    """
    files = _siblings(path) or ([path] if path.is_file() else [])
    if not files:
        raise FileNotFoundError(2, "no such file", str(path))
    counts: dict[str, int] = {}
    arms: list[Arm] = []
    kept: dict[str, Any] = {}
    per_ccd: dict[str, Any] = {}
    moved: set[bool] = set()
    for file in files:
        arm, header = _ccd(file, counts)
        arms.append(arm)
        moved.add(number(header, "BARYEFF") is not None)
        kept = keep(header, KEPT) | kept
        per_ccd[arm.name] = {"file": file.name, **keep(header, KEPT_PER_CCD)}
    if len(moved) > 1:
        raise ReadError(f"{files[0].name}: BARYEFF is a number in some of the star's files only; read them one by one")
    match = _SOBJECT.match(path.stem)
    star = next((kept[key] for key in ("GAIA_ID", "2MASS_ID", "OBJ_NAME") if key in kept), "")
    return Spectrum(
        arms=tuple(arms),
        frame="barycentric" if moved.pop() else "observed",
        id=match[1] if match else path.stem,
        star_id=str(star),
        instrument=INSTRUMENT,
        provenance=origin(files[0].name, "galah", kept, ccds=per_ccd, **velocity(kept.get("RVCOM"))),
        counts=counts,
    )


def _siblings(path: Path) -> list[Path]:
    """The existing files of a star by its sobject_id; empty where the name is not one."""
    match = _SOBJECT.match(path.name.removesuffix(".fits"))
    if not match:
        return []
    files = [path.with_name(f"{match[1]}{ccd}.fits") for ccd in "1234"]
    return [file for file in files if file.is_file()]


def _ccd(file: Path, counts: dict[str, int]) -> tuple[Arm, Any]:
    profile = load_instrument(INSTRUMENT)
    with open_fits(file) as hdus:
        header = hdus[0].header
        flux = image(hdus, 0, file).astype(np.float64)
        relative, transmission, width = (
            image(hdus, name, file).astype(np.float64) for name in ("relative_error", "teluric", "resolution_profile")
        )
    if flux.ndim != 1 or not flux.shape == relative.shape == transmission.shape == width.shape:
        raise ReadError(f"{file.name}: the extensions differ in shape, one pixel row each is expected")
    wavelength = linear_grid(header, flux.size)
    middle = wavelength[wavelength.size // 2]
    names = [arm.name for arm in profile.arms if arm.wavelength[0] < middle < arm.wavelength[1]]
    if not names:
        raise ReadError(f"{file.name}: no HERMES arm covers {middle:.0f} Å")
    arm = make_arm(
        wavelength,
        flux,
        counts=counts,
        error=relative * flux,  # the sign of the relative error is that of the counts
        reasons={"telluric": transmission < TELLURIC},
        medium="air",
        lsf=_width(file, profile, width, header),
        name=names[0],
    )
    return arm, header


def _width(file: Path, profile: Instrument, width: np.ndarray, header: Any) -> GaussianLSF:
    if not np.all(np.isfinite(width) & (width > 0)):
        raise ReadError(f"{file.name}: resolution_profile has widths that are not positive")
    boxiness = value(header, "B")
    shape = float(boxiness) if boxiness is not None else 2.0
    return GaussianLSF(
        width * gaussian_equivalent(shape),
        profile.lsf_scale_sigma,
        box=top_hat_share(shape),
        box_sigma=profile.lsf_box_sigma,
    )


def top_hat_share(boxiness: float) -> float:
    """Share of a top hat in the variance of a Gaussian and a top hat convolved that have the kurtosis of that shape.

    Of exp(-|x/a|^B) the kurtosis is Γ(5/B) Γ(1/B) / Γ(3/B)², of a Gaussian 3, of a top hat 9/5; the excess of a
    convolution is the mean of the excesses, weighted with the squared shares of the variance.
    """
    gamma = [math.gamma(k / boxiness) for k in (1.0, 3.0, 5.0)]
    excess = gamma[2] * gamma[0] / gamma[1] ** 2 - 3
    return math.sqrt(min(max(-excess / 1.2, 0.0), 1.0))


def gaussian_equivalent(boxiness: float) -> float:
    """FWHM of the Gaussian with the second moment of exp(-ln 2 |2x/w|^B), in units of w; 1 for B = 2.

    The second moment of exp(-|x/a|^B) is a² Γ(3/B) / Γ(1/B).
    """
    ratio = math.gamma(3.0 / boxiness) / math.gamma(1.0 / boxiness)
    sigma = 0.5 * math.log(2.0) ** (-1.0 / boxiness) * math.sqrt(ratio)
    return sigma * math.sqrt(8.0 * math.log(2.0))
