"""The flags of a result: one bit each, with a sentence."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """Bitmask of everything a user should know about a fit.

    The value of a bit never changes: catalogues store it. Bits in `BAD` mean that the numbers must not
    be used as they are; the others are warnings.
    """

    # warnings
    ERRORS_ESTIMATED = 1 << 0
    RV_AS_OBSERVED = 1 << 1
    NO_EMULATOR_ERROR = 1 << 2
    NEAR_EDGE = 1 << 3
    PIXELS_LOST = 1 << 4
    NONFINITE_MASKED = 1 << 5
    JITTER_LARGE = 1 << 6
    RESIDUALS_CORRELATED = 1 << 7
    STRONG_RESIDUAL = 1 << 8
    DIVERGENCES = 1 << 9
    LOW_EBFMI = 1 << 10
    TREE_DEPTH = 1 << 11
    PRIOR_DOMINATED = 1 << 12
    BROADENING_REPLACED = 1 << 13
    MAP_ONLY = 1 << 14
    OUTLIERS_REMOVED = 1 << 15
    SAMPLED_INSTEAD = 1 << 16
    TEACHER_DIFFERS = 1 << 17
    UPPER_LIMIT = 1 << 18
    # bad: the numbers must not be used as they are
    NO_PIXELS = 1 << 32
    NO_OVERLAP = 1 << 33
    OUTSIDE_DOMAIN = 1 << 34
    BAD_FIT = 1 << 35
    DOUBLE_LINED = 1 << 36
    NOT_CONVERGED = 1 << 37
    RV_UNCERTAIN = 1 << 38
    RV_AT_EDGE = 1 << 39
    TOO_SHARP = 1 << 40
    FAILED = 1 << 41
    MEDIUM_DOUBTFUL = 1 << 42

    @property
    def bad(self) -> Flag:
        """The bits that are set and bad: the numbers must not be used as they are."""
        return self & BAD

    def sentences(self) -> list[str]:
        """One sentence for every bit that is set, in the order of the bits."""
        return [SENTENCES[bit] for bit in Flag if bit in self]

    @property
    def names(self) -> list[str]:
        """Names of the bits that are set."""
        return [bit.name or "" for bit in Flag if bit in self]


BAD = Flag(sum(bit for bit in Flag if bit >= 1 << 32))

SENTENCES: dict[Flag, str] = {
    Flag.ERRORS_ESTIMATED: "The file has no flux errors: the noise was estimated from the spectrum itself.",
    Flag.RV_AS_OBSERVED: "The barycentric correction is unknown: rv is as observed.",
    Flag.NO_EMULATOR_ERROR: "The emulator states no error of its own: it was taken as zero.",
    Flag.NEAR_EDGE: "A label lies near the edge of the emulator's domain: its posterior is truncated there.",
    Flag.PIXELS_LOST: "Some pixels lie too near the ends of the emulator's windows and were left out.",
    Flag.NONFINITE_MASKED: "Pixels with non-finite values or negative errors were masked.",
    Flag.JITTER_LARGE: "The scatter about the model is much larger than the quoted errors: jitter absorbs it.",
    Flag.RESIDUALS_CORRELATED: "Neighbouring residuals are correlated: the model misses something wider than a pixel.",
    Flag.STRONG_RESIDUAL: "A window of the spectrum is fitted far worse than the rest.",
    Flag.DIVERGENCES: "Some transitions of the sampler diverged.",
    Flag.LOW_EBFMI: "The sampler explored the energy slowly (E-BFMI below 0.3).",
    Flag.TREE_DEPTH: "The sampler often reached its maximum tree depth.",
    Flag.PRIOR_DOMINATED: "For at least one label the data add little to the prior.",
    Flag.BROADENING_REPLACED: "The network has its own broadening label: the corresponding operator was switched off.",
    Flag.MAP_ONLY: "Only the posterior maximum was computed: errors are the Cramér-Rao bound.",
    Flag.OUTLIERS_REMOVED: "Pixels far from any model were excluded: wrong or missing lines, sky lines, cosmic rays.",
    Flag.SAMPLED_INSTEAD: "Importance sampling could not be trusted: Hamiltonian Monte Carlo was run instead.",
    Flag.TEACHER_DIFFERS: "The emulator is distilled; the posterior from the original emulator would differ.",
    Flag.UPPER_LIMIT: "At least one abundance is an upper limit: the lowest allowed value fits as well.",
    Flag.NO_PIXELS: "No usable pixel is left after masking.",
    Flag.NO_OVERLAP: "The spectrum does not overlap the emulator's wavelengths.",
    Flag.OUTSIDE_DOMAIN: "The best fit lies on the edge of the emulator's domain: the star is probably outside.",
    Flag.BAD_FIT: "The model does not fit the spectrum.",
    Flag.DOUBLE_LINED: "The cross-correlation has a second peak: the star may be a double-lined binary.",
    Flag.NOT_CONVERGED: "The optimiser, chains (rank R-hat, effective sample size) or weights did not converge.",
    Flag.RV_UNCERTAIN: "Another velocity fits nearly as well as the best: the radial velocity is not determined.",
    Flag.RV_AT_EDGE: "The radial velocity lies at the end of the searched range.",
    Flag.TOO_SHARP: "The instrument's resolution exceeds the emulator's.",
    Flag.FAILED: "The computation failed.",
    Flag.MEDIUM_DOUBTFUL: "The wavelengths are probably not in the stated medium (air or vacuum).",
}
