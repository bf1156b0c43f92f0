"""Whether the wavelengths are in the medium that the file states: what it says must agree with the star's velocity."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ..flags import Flag
from ..likelihoods import Problem, RobustWidths, best_continuum
from ..spectrum import Arm, FloatArray
from ..wavelength import C_KMS, vacuum_to_air
from .diagnose import Verdict

#: Velocity (km/s) by which air and vacuum wavelengths differ over the optical and the H band, and how near to it a
#: difference must be to mean the medium.
AIR, NEAR = 83.0, 8.0

#: Least uncertainty of an arm's velocity (km/s): arms are not calibrated better against each other.
CALIBRATION = 0.1

#: Share of the full change from arm to arm that is taken for the medium, and its significance in sigma.
SHARE, SIGNIFICANCE = (0.5, 1.5), 5.0

#: Half of the step of velocity (km/s) for the derivative of the model.
STEP = 0.5


def judge_medium(
    verdict: Verdict,
    problem: Problem,
    arms: Sequence[Arm],
    theta: FloatArray,
    jitters: FloatArray,
    stated: float | None,
) -> None:
    """MEDIUM_DOUBTFUL where the velocity is off by 83 km/s, or changes from arm to arm as the refraction of air does.

    Parameters
    ----------
    arms
        Of the spectrum, (a,).
    theta
        (n,) posterior maximum.
    jitters
        (a,) jitter in normalised flux.
    stated
        Velocity of the star that the file states, in the frame of ``rv`` (km/s); None where it does not.
    """
    if "rv" not in problem.model.names:
        return
    rv = float(theta[problem.model.names.index("rv")])
    if stated is not None:
        verdict.numbers["rv_minus_stated"] = rv - stated
        if abs(abs(rv - stated) - AIR) < NEAR:
            _doubt(verdict, rv < stated, f"The velocity is {rv - stated:+.0f} km/s from what the file states.")
            return
    share, sigma = _refraction(problem, arms, theta, jitters)
    verdict.numbers |= {"refraction": share, "refraction_error": sigma}
    if SHARE[0] < abs(share) < SHARE[1] and abs(share) > SIGNIFICANCE * sigma:
        _doubt(verdict, share < 0, f"Arms differ in velocity as if by {abs(share):.1f} times the refraction of air.")


def _doubt(verdict: Verdict, in_air: bool, evidence: str) -> None:
    """Set the flag; wavelengths in air that are read as vacuum make a star seem to approach."""
    likely, said = ("air", "vacuum") if in_air else ("vacuum", "air")
    verdict.raise_flag(
        Flag.MEDIUM_DOUBTFUL, f"{evidence} The wavelengths may be in {likely}, although they were read as {said}."
    )


def _refraction(problem: Problem, arms: Sequence[Arm], theta: FloatArray, jitters: FloatArray) -> tuple[float, float]:
    """How much the arms' velocities follow c (n - 1), n the refractive index of air, and its standard deviation.

    -1 for wavelengths in air that were read as vacuum, +1 for the opposite; the uncertainty is infinite for one arm.
    Each arm's velocity is the step of Gauss and Newton along the derivative of the model.
    """
    # a step of the velocity is to move the model by all of it, not by what robust widths leave
    at = jnp.asarray(theta)
    problem = problem.changed(robust=RobustWidths.unchanged(problem.model.n_mean))
    step = jnp.zeros(at.size).at[problem.model.names.index("rv")].set(STEP)
    model, ratio, correction = (np.asarray(v) for v in best_continuum(problem, at))
    ahead, behind = (np.asarray(best_continuum(problem, x)[0]) for x in (at + step, at - step))
    slope = (ahead - behind) / (2 * STEP) * ratio
    used, residual = problem.plan.used, np.asarray(problem.model.pixels.data) - (model + correction) * ratio
    weight = np.where(used, 1 / (np.asarray(problem.model.pixels.total_variance) + jitters[:, None] ** 2), 0.0) * slope
    information = np.sum(weight * slope, axis=1)
    seen = information > 0
    if seen.sum() < 2:
        return 0.0, np.inf
    velocity = np.sum(weight * residual, axis=1)[seen] / information[seen]
    centre = [float(np.average(arm.wavelength, weights=(weight * slope)[a, : arm.flux.size]))
              for a, arm in enumerate(arms) if seen[a]]  # fmt: skip
    shift = C_KMS * (np.array(centre) / vacuum_to_air(centre) - 1)
    w = 1 / (1 / information[seen] + CALIBRATION**2)
    x, y = shift - np.average(shift, weights=w), velocity - np.average(velocity, weights=w)
    lever = np.sum(w * x**2)
    if lever <= 0:
        return 0.0, np.inf
    share = float(np.sum(w * x * y) / lever)
    scatter = np.sum(w * (y - share * x) ** 2) / max(seen.sum() - 2, 1)
    return share, float(np.sqrt(max(scatter, 1.0) / lever))
