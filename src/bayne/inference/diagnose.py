"""From numbers to flags: goodness of fit, edges, convergence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import arviz as az
import numpy as np

from ..emulators import Emulator
from ..flags import Flag
from ..information.robust import Misfit
from ..labels import over_hydrogen, unit
from ..likelihoods import Problem
from ..spectrum import Arm, FloatArray, Spectrum
from ..wavelength import C_KMS
from .draws import Draws
from .start import bin_data, correlate, fwhm_kms, smoothed

#: Thresholds, each judged on mocks and on real spectra in the tests.
RHAT_MAX, ESS_MIN = 1.01, 400.0
EXPLAINED_MIN = 0.95
JITTER_WARN = 1.0
AUTOCORRELATION_WARN = 0.3
WINDOW_WARN = 25.0
#: Mocks: single stars stay below 0.2, or below 4 sigma where noise makes more; companions of a fifth of the light and
#: more, at 50 km/s and more, stand above 0.23 and 5.4 sigma.
SECOND_PEAK, SECOND_PEAK_SIGNIFICANCE = 0.2, 4.5
#: Mocks (benchmarks/velocity.py): wrong velocities and spectra without lines stay below 3.2.
RV_SIGNIFICANCE = 4.0
LOST_WARN = 0.2
#: Largest share of their depth by which lines may differ from the model on average, at velocities (km/s) off their
#: cores: single reference stars stay below 0.012, doubles 20 km/s apart (benchmarks/double_stars.py) are above 0.045.
#: Where lines are wider than this, so are the distances.
PROFILE_MAX, PROFILE_FWHM = 0.015, 15.0
PROFILE_LAGS = np.concatenate([np.arange(-40.0, -7.0, 4.0), np.arange(8.0, 41.0, 4.0)])
#: A block of wavelength that moves a label by this many of its errors is told.
INFLUENCE = 1.0
#: Share of its range at which a parameter counts as at an end of it.
END = 0.1


@dataclass
class Verdict:
    """Flags collected on the way, with label flags, numbers and sentences."""

    flags: Flag = Flag(0)
    labels: dict[str, Flag] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def raise_flag(self, flag: Flag, message: str = "") -> None:
        """Set a flag; the message adds numbers or names to the flag's sentence."""
        self.flags |= flag
        if message and message not in self.messages:
            self.messages.append(message)

    def mark(self, name: str, flag: Flag) -> None:
        """Set a flag of one label."""
        self.labels[name] = self.labels.get(name, Flag(0)) | flag


def judge_fit(
    verdict: Verdict,
    problem: Problem,
    arms: Sequence[Arm],
    model: FloatArray,
    ratio: FloatArray,
    jitters: FloatArray,
) -> None:
    """Goodness of fit on the pixels, although jitter absorbs misfit.

    Parameters
    ----------
    model, ratio
        (a, n) best normalised model (emulator correction included) and continuum over pilot.
    jitters
        (a,) jitter in normalised flux; zeros for none.
    """
    used = problem.plan.used
    data, noise = np.asarray(problem.model.pixels.data), np.asarray(problem.model.pixels.variance)
    residual = data - model * ratio
    photon = residual[used] ** 2 / noise[used]
    flat = (data - ratio)[used] ** 2 / noise[used]
    n = used.sum()
    chi2, chi2_flat = float(photon.sum()), float(flat.sum())
    numbers = verdict.numbers
    lost = problem.plan.n_lost + int(numbers.get("n_outside", 0))
    numbers |= {"chi2": chi2, "chi2_no_lines": chi2_flat, "n_pixels": float(n), "n_lost": float(lost)}
    numbers["chi2_reduced"] = chi2 / max(n - len(problem.model.names), 1)
    both = used[:, 1:] & used[:, :-1]
    left, lines = (_neighbours(r, noise, both) for r in (residual, data - ratio))
    doubt = np.sqrt(both.sum()) * numbers["chi2_reduced"] / max(lines, 1e-30)  # standard deviation by white noise
    left = max(min(left, chi2 - n), 0.0)  # neither noise that is larger than stated is misfit, nor correlated noise
    numbers["explained"] = 1 - left / lines if 0 < doubt < 1 / 5 else np.nan
    photon_sigma = np.array(
        [np.sqrt(np.median(noise[a][used[a]])) if used[a].any() else np.inf for a in range(len(used))]
    )
    numbers["jitter_ratio"] = float(np.max(jitters / photon_sigma))
    pull = np.where(used, residual / np.sqrt(noise + jitters[:, None] ** 2), 0.0)
    numbers["autocorrelation"] = float(
        np.sum((pull[:, 1:] * pull[:, :-1])[both]) / max(np.sum(pull[:, 1:][both] ** 2), 1e-30)
    )
    worst, arm, centre = _worst_window(problem, pull)
    where = arms[arm]
    numbers["worst_window_chi2"] = worst
    if numbers["explained"] + 3 * doubt < EXPLAINED_MIN:
        verdict.raise_flag(Flag.BAD_FIT, f"The model explains only {numbers['explained']:.0%} of the spectrum's lines.")
    if numbers["jitter_ratio"] > JITTER_WARN:
        verdict.raise_flag(
            Flag.JITTER_LARGE,
            f"The extra scatter is {numbers['jitter_ratio']:.1f} times the quoted error ({float(jitters.max()):.4f} of "
            "the continuum): posterior errors are larger than photon noise alone gives.",
        )
    if numbers["autocorrelation"] > AUTOCORRELATION_WARN:
        verdict.raise_flag(
            Flag.RESIDUALS_CORRELATED, f"Correlation of neighbouring residuals: {numbers['autocorrelation']:.2f}."
        )
    if worst > WINDOW_WARN:
        place = f"arm {where.name} at {where.wavelength[centre]:.1f} Å (vacuum, as observed)"
        verdict.raise_flag(Flag.STRONG_RESIDUAL, f"Worst window: {place}, mean squared residual {worst:.0f} sigma².")
    good = n + lost
    if lost > LOST_WARN * good:
        verdict.raise_flag(Flag.PIXELS_LOST, f"{lost} of {good} good pixels lie outside the emulator's windows.")


def _neighbours(values: FloatArray, noise: FloatArray, both: np.ndarray) -> float:
    """Sum of products of neighbouring values (a, n) over their noise: to it, white noise adds nothing on average."""
    scaled = values / np.sqrt(noise)
    return float(np.sum((scaled[:, 1:] * scaled[:, :-1])[both]))


def _worst_window(problem: Problem, pull: FloatArray, width: int = 15) -> tuple[float, int, int]:
    """Largest mean squared pull over `width` used pixels; its arm and central place (index of arm, pixel)."""
    best = (0.0, 0, 0)
    for a, used in enumerate(problem.plan.used):
        where = np.flatnonzero(used)
        if where.size < width:
            continue
        mean = np.convolve(pull[a, where] ** 2, np.full(width, 1 / width), mode="valid")
        k = int(np.argmax(mean))
        if mean[k] > best[0]:
            best = (float(mean[k]), a, int(where[k + width // 2]))
    return best


def judge_binary(
    verdict: Verdict,
    spectrum: Spectrum,
    emulator: Emulator,
    pilot: list[FloatArray],
    model: FloatArray,
    used: np.ndarray,
    labels: FloatArray,
    velocity: float,
) -> None:
    """Second peak of the cross-correlation with the best template, beside what the model's own lines make.

    The function of the data is compared with that of the fitted model on the same pixels, rotation and all: a
    companion's lines stand above the second as a peak of their own.

    Parameters
    ----------
    model, used
        (a, n) best normalised model, and where it holds.
    labels, velocity
        Of the best fit; the velocity in the frame of the file (km/s).
    """
    template = smoothed(emulator, emulator.evaluate(labels)[None], spectrum)
    fitted = spectrum.with_mask([~used[a, : arm.flux.size] for a, arm in enumerate(spectrum.arms)])
    own = [replace(arm, flux=model[a, : arm.flux.size] * pilot[a]) for a, arm in enumerate(fitted.arms)]
    grid = velocity + np.arange(-600.0, 601.0, 12.0)
    (of_data,) = correlate(bin_data(fitted, pilot), emulator, template, grid)
    (of_model,) = correlate(bin_data(replace(fitted, arms=tuple(own)), pilot), emulator, template, grid)
    peak, own_peak = of_data[len(grid) // 2], of_model[len(grid) // 2]
    excess = of_data - peak / max(own_peak, 1e-3) * of_model
    far = np.abs(grid - velocity) >= max(36.0, fwhm_kms(spectrum.arms))
    second = float(np.max(excess[far]) / max(peak, 1e-3))
    spread = 1.4826 * float(np.median(np.abs(excess[far] - np.median(excess[far])))) + 1e-12
    significance = float((np.max(excess[far]) - np.median(excess[far])) / spread)
    verdict.numbers |= {"second_peak": second, "second_peak_significance": significance}
    if second > SECOND_PEAK and significance > SECOND_PEAK_SIGNIFICANCE:
        where = grid[far][int(np.argmax(excess[far]))] - velocity
        verdict.raise_flag(
            Flag.DOUBLE_LINED, f"A second peak, {second:.0%} as high as the first, lies {where:+.0f} km/s from it."
        )


def judge_profile(
    verdict: Verdict,
    problem: Problem,
    arms: Sequence[Arm],
    model: FloatArray,
    sharp: FloatArray,
    ratio: FloatArray,
    jitters: FloatArray,
) -> None:
    """The mean profile of the lines: misfits of single lines average out there, two stars or a wrong LSF do not.

    Residuals are projected on sharp lines, moved by one velocity after the other, and given in units of what the
    model's own lines give at rest.

    Parameters
    ----------
    sharp
        (a, n) the model without broadening. Other arguments are those of `judge_fit`.
    """
    used, data = problem.plan.used, np.asarray(problem.model.pixels.data)
    lags = PROFILE_LAGS * max(1.0, fwhm_kms(arms) / PROFILE_FWHM)
    noise = np.asarray(problem.model.pixels.variance) + jitters[:, None] ** 2
    residual, lines, template = (np.where(used, v, 0.0) for v in (ratio * model - data, 1 - model, 1 - sharp))
    shape, size, power = np.zeros(lags.size), 0.0, 0.0
    for a, arm in enumerate(arms):
        if used[a].any():
            weight = 1 / np.median(noise[a][used[a]])
            n, at = arm.flux.size, arm.wavelength
            moved = [np.interp(at, at * (1 + v / C_KMS), template[a, :n]) for v in lags]
            shape += weight * np.array(moved) @ residual[a, :n]
            size += weight * float(lines[a] @ template[a])
            power += weight * float(template[a] @ template[a])
    if size == 0:
        return
    shape /= size
    worst = int(np.argmax(np.abs(shape)))
    verdict.numbers |= {"profile": float(shape[worst]), "profile_velocity": float(lags[worst])}
    if abs(shape[worst]) > PROFILE_MAX + 4 * np.sqrt(power) / size:
        verdict.raise_flag(
            Flag.BAD_FIT,
            f"Lines are {'deeper' if shape[worst] > 0 else 'shallower'} than the model by {abs(shape[worst]):.1%} of "
            f"their depth {lags[worst]:+.0f} km/s from their cores: two stars, or another LSF.",
        )


def judge_misfit(verdict: Verdict, names: Sequence[str], arms: Sequence[Arm], found: Misfit, sigma: FloatArray) -> None:
    """How much wider errors are than the model alone says, and which block of wavelength moves which label most.

    Parameters
    ----------
    sigma
        (n,) robust errors of the parameters.
    """
    verdict.numbers["misfit_ratio"] = float(np.sqrt(found.inflation))
    for name in ("teff", "logg", "fe_h"):
        if name in names:
            i = names.index(name)
            pull = found.influence[:, i] / sigma[i]
            worst = int(np.argmax(np.abs(pull)))
            arm, middle = found.blocks[worst]
            verdict.numbers |= {f"influence_{name}": float(pull[worst]), f"influence_{name}_wavelength": float(middle)}
            if abs(pull[worst]) > INFLUENCE:
                verdict.messages.append(
                    f"{name} rests on {middle:.0f} Å of arm {arms[int(arm)].name}: without the block there it would be "
                    f"{-found.influence[worst, i]:+.3g} {unit(name)} away."
                )


def judge_edges(verdict: Verdict, problem: Problem, emulator: Emulator, best: FloatArray, sigma: FloatArray) -> None:
    """OUTSIDE_DOMAIN and NEAR_EDGE per label, at the posterior maximum."""
    domain = dict(zip(emulator.label_names, zip(emulator.lower, emulator.upper, strict=True), strict=True))
    told = []
    for i, name in enumerate(problem.model.names):
        if name in ("vsini", "vmac") and name not in domain:
            domain[name] = (0.0, float(problem.prior.upper[i]))
        if name not in domain:
            continue
        low, high = domain[name]
        if unit(name) == "km/s" and low <= 0:
            low = -np.inf  # no broadening is a physical end, not the end of a grid
        width = domain[name][1] - domain[name][0]
        distance = min(best[i] - low, high - best[i])
        if distance < 0.005 * width and name in ("teff", "logg", "fe_h", "vsini", "vmac"):
            verdict.mark(name, Flag.OUTSIDE_DOMAIN)
            told.append(f"{name} = {best[i]:.4g} (domain {domain[name][0]:.4g} to {high:.4g})")
        elif distance < 0.02 * width or (distance < sigma[i] < 0.2 * width):
            verdict.mark(name, Flag.NEAR_EDGE)
    a, b = (np.asarray(v) for v in problem.prior.halfspaces)
    if a.size and np.any(a @ best - b > -0.005):
        told.append("teff, logg, fe_h at the hull of the training grid")
        for name in ("teff", "logg", "fe_h"):
            verdict.mark(name, Flag.OUTSIDE_DOMAIN)
    if told:
        verdict.raise_flag(Flag.OUTSIDE_DOMAIN, "At the edge: " + ", ".join(told) + ".")
    near = [name for name, flag in verdict.labels.items() if Flag.NEAR_EDGE in flag]
    if near:
        verdict.raise_flag(Flag.NEAR_EDGE, f"Near the edge of the domain: {', '.join(near)}.")


def judge_prior(verdict: Verdict, problem: Problem, emulator: Emulator, std: FloatArray) -> None:
    """PRIOR_DOMINATED for labels whose posterior is nearly as wide as their prior."""
    wide = [
        name
        for name, s, p in zip(problem.model.names, std, problem.prior_std, strict=True)
        if name in emulator.label_names and s > 0.8 * p
    ]
    for name in wide:
        verdict.mark(name, Flag.PRIOR_DOMINATED)
    if wide:
        verdict.raise_flag(Flag.PRIOR_DOMINATED, f"The data add little to the prior of {', '.join(wide)}.")


def judge_limits(verdict: Verdict, problem: Problem, label_names: Sequence[str], values: FloatArray) -> None:
    """UPPER_LIMIT for abundances whose posterior reaches the lower end of their range and not the upper one.

    Reaching an end means half or more of the draws (..., n) there that a uniform distribution would have.
    """
    lower, upper = np.asarray(problem.prior.lower), np.asarray(problem.prior.upper)
    place = ((values - lower) / (upper - lower)).reshape(-1, lower.size)
    limit = (np.mean(place < END, axis=0) > END / 2) & (np.mean(place > 1 - END, axis=0) < END / 2)
    of_iron = {parts[0]: derived for derived, parts in over_hydrogen(label_names).items()}
    found = [n for n, is_limit in zip(problem.model.names, limit, strict=True) if is_limit and n in of_iron]
    for name in found:
        verdict.mark(name, Flag.UPPER_LIMIT)
        verdict.mark(of_iron[name], Flag.UPPER_LIMIT)
    if found:
        verdict.raise_flag(Flag.UPPER_LIMIT, f"Upper limits: {', '.join(found)}.")


def judge_chains(verdict: Verdict, names: tuple[str, ...], draws: Draws, max_depth: int) -> None:
    """Rank R-hat, ESS, divergences, E-BFMI and, of NUTS, tree depth."""
    values, stats = draws.values, draws.stats
    rhat = {n: rank_rhat(values[..., i]) for i, n in enumerate(names)}
    ess = {n: float(az.ess(values[..., i], method="bulk")) for i, n in enumerate(names)}
    tail = {n: float(az.ess(values[..., i], method="tail")) for i, n in enumerate(names)}
    bfmi = np.mean(np.diff(stats["energy"], axis=1) ** 2, axis=1) / np.var(stats["energy"], axis=1)
    divergent = int(np.sum(stats["diverging"]))
    verdict.numbers |= {
        "rhat_max": max(rhat.values()),
        "ess_bulk_min": min(ess.values()),
        "ess_tail_min": min(tail.values()),
        "ebfmi_min": float(bfmi.min()),
        "divergences": float(divergent),
    }
    for name in names:
        if not (rhat[name] < RHAT_MAX and ess[name] > ESS_MIN):
            verdict.mark(name, Flag.NOT_CONVERGED)
            verdict.raise_flag(Flag.NOT_CONVERGED, f"{name}: R-hat {rhat[name]:.3f}, bulk ESS {ess[name]:.0f}.")
    if divergent:
        verdict.raise_flag(Flag.DIVERGENCES, f"{divergent} of {stats['diverging'].size} transitions diverged.")
    if bfmi.min() < 0.3:
        verdict.raise_flag(Flag.LOW_EBFMI)
    if "tree_depth" in stats:  # HMC has no trees
        verdict.numbers["tree_depth_mean"] = float(np.mean(stats["tree_depth"]))
        if np.mean(stats["tree_depth"] >= max_depth) > 0.05:
            verdict.raise_flag(Flag.TREE_DEPTH)


def rank_rhat(values: FloatArray) -> float:
    """Rank-normalised split R-hat of draws (chains, draws); of one chain, that of its halves."""
    if len(values) == 1:
        values = values[:, : values.shape[1] // 2 * 2].reshape(2, -1)
    return float(az.rhat(values, method="rank"))
