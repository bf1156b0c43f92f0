"""Emulators that have learnt from reference stars, and each star measured by what the others taught.

    python benchmarks/calibrate_stars.py optical-high galah apogee --data data --output build/calibrated

`--data` is a folder with the spectra that `reference_stars.py` and `survey_stars.py` name. For each emulator, stars
with known labels teach it (`bayne.calibration.learn`); the result is written to ``<output>/<emulator>-calibrated``.
Then every star is fitted (`fit_star`, method ``laplace``) through the emulator as it was, and through the one that all
others taught (``<emulator>-without-<star>``), and what is found is appended to ``<emulator>.jsonl``. A run that was
killed goes on where it was: remove the folder to learn anew.

``optical-low`` learns from 30 stars of MILES, and is tested on 30 others and on stars of LAMOST.

Known labels: `reference_stars.py`; abundances of metal-poor stars are those of the halo, [Mg, Si, Ca, Ti/Fe] = 0.3,
[O/Fe] = 0.5 (Nissen & Schuster 2010, A&A 511, L10), of the Sun 0 by definition, of all others 0 within 0.1 dex.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from reference_stars import KNOWN_ERRORS, STARS
from survey_stars import OPTICAL, apogee, benchmark, lamost, like_apogee, miles, sharp

import bayne
from bayne.calibration import learn

Known = dict[str, tuple[float, float]]

#: Errors of the Sun's labels: it defines them, but for its spectrum.
SOLAR = {"teff": 10.0, "logg": 0.01, "fe_h": 0.01}
LABELS = ("teff", "logg", "fe_h")


@dataclass(frozen=True)
class Star:
    """A spectrum, of which star, what is known of it."""

    name: str
    star: str
    read: Callable[[], bayne.Spectrum]
    known: Mapping[str, tuple[float, float]]


def abundances(star: str, iron: float, names: tuple[str, ...]) -> Known:
    """What is known of [X/Fe]."""
    if star == "Sun":
        return {name: (0.0, 0.03) for name in names}
    found = dict.fromkeys(names, (0.0, 0.1))
    if iron < -1:
        found = dict.fromkeys(names, (0.0, 0.2))
        found |= {name: (0.3, 0.1) for name in names if name in ("mg_fe", "si_fe", "ca_fe", "ti_fe")}
        found |= {name: (0.5, 0.2) for name in names if name == "o_fe"}
    # carbon and nitrogen change as stars evolve, lithium is destroyed
    return (
        found
        | {name: (found[name][0], 0.3) for name in ("c_fe", "n_fe") if name in names}
        | {name: (0.0, 1.0) for name in ("li_fe",) if name in names}
    )


def labelled(name: str, star: str, read: Callable[[], bayne.Spectrum], values: Any, emulator: bayne.Emulator) -> Star:
    """A star with Teff, log g and [Fe/H]."""
    errors = SOLAR if star == "Sun" else KNOWN_ERRORS
    known = {label: (float(value), errors[label]) for label, value in zip(LABELS, values, strict=True)}
    single = tuple(label for label in emulator.label_names if label.endswith("_fe"))
    return Star(name, star, read, known | abundances(star, values[2], single))


def optical_high(data: Path, emulator: bayne.Emulator) -> list[Star]:
    """Stars at high resolution, and the Sun through HERMES; WASP-120 has no labels that are good enough."""
    found = [sun_of_galah(data, emulator)]
    for star in benchmark(data):
        name = star.name.replace("M92-star-", "m92-")
        if name in ("wasp-120", "m92-2", "m92-3", "m92-6"):
            continue
        whose = "Sun" if name.startswith("sun") else "M 92" if name.startswith("m92") else STARS.get(name, (name,))[0]
        found.append(labelled(name, whose, star.read, [star.known[label][0] for label in LABELS], emulator))
    return found


def sun_of_galah(data: Path, emulator: bayne.Emulator) -> Star:
    """Light of the Sun, reflected by Vesta, through HERMES."""
    path = data / "spectra" / "galah" / "2101150022012391.fits"
    return labelled("sun-hermes", "Sun", partial(bayne.read_spectrum, path), STARS["sun-hermes"][4], emulator)


def galah(data: Path, emulator: bayne.Emulator) -> list[Star]:
    """The Sun through HERMES, and stars at R = 47,000 inside the domain, which Procyon, 61 Cyg B and M 92 are not."""
    found = [sun_of_galah(data, emulator)]
    for name in ("sun-atlas", "eps-eri", "del-eri", "hd106038", "hd175305"):
        star, file, reading, options, values = STARS[name]
        read = partial(sharp, data / "spectra" / file, reading, options)
        found.append(labelled(name, star, read, values, emulator))
    return found


def h_band(data: Path, emulator: bayne.Emulator) -> list[Star]:
    """Atlases of the Sun and of Arcturus at the resolution of APOGEE, and a giant with ASPCAP's labels."""
    found = []
    for name, star, values in (("sun", "Sun", (5772, 4.44, 0.0)), ("arcturus", "Arcturus", (4286, 1.66, -0.52))):
        read = partial(like_apogee, data / "spectra" / "h_band" / f"{name}_observed.txt.gz")
        found.append(labelled(name, star, read, values, emulator))
    giant = next(star for star in apogee(data) if star.name == "2M17334253-1654573")
    found.append(labelled(giant.name, giant.name, giant.read, [giant.known[label][0] for label in LABELS], emulator))
    return found


def optical_low(data: Path, emulator: bayne.Emulator) -> list[Star]:
    """Every second of the first FGK stars of MILES inside the domain: the rest are a test."""
    return of_miles(data, emulator)[::2][:MILES_STARS]


def of_miles(data: Path, emulator: bayne.Emulator) -> list[Star]:
    """Stars of MILES inside the domain, with the errors of their labels."""
    found = []
    for star in miles(data):
        values = [star.known[label][0] for label in LABELS]
        own = labelled(star.name, star.name, star.read, values, emulator)
        own = replace(own, known={**own.known, **{label: star.known[label] for label in LABELS}})
        middle = 0.5 * (emulator.lower + emulator.upper)
        middle[: len(LABELS)] = values
        if emulator.contains(middle):
            found.append(own)
    return found


def unseen(data: Path, emulator: bayne.Emulator) -> list[tuple[Star, dict[str, Any]]]:
    """Stars that taught nothing, and how they are fitted: MILES' other half and stars of LAMOST, by turns."""
    own = [(star, MILES) for star in of_miles(data, emulator)[1::2][:MILES_STARS]]
    others = [(Star(star.name, star.name, star.read, star.known), {}) for star in list(lamost(data))[::2]]
    return [pair for pairs in zip(own, others, strict=False) for pair in pairs]


#: Stars of MILES that teach, and as many that test; how they are fitted.
MILES_STARS, MILES = 30, {"continuum": 10, "snr": 100}

SETS = {
    "optical-high": (optical_high, OPTICAL),
    "galah": (galah, {}),
    "apogee": (h_band, {}),
    "optical-low": (optical_low, MILES),
}


def measured(star: Star, spectrum: bayne.Spectrum, emulator: bayne.Emulator, options: dict[str, Any]) -> dict[str, Any]:
    """What a fit says."""
    clock = time.perf_counter()
    result = bayne.fit_star(spectrum, emulator, method="laplace", id=star.name, **options)
    found = {
        str(row["label"]): [float(row[column]) for column in ("median", "std", "std_photon")]
        for row in result.table
        if str(row["label"]) in (*emulator.label_names, "rv", "vsini")
    }
    return {
        "labels": found, "ok": result.ok, "flags": result.flags.names, "seconds": time.perf_counter() - clock,
        "diagnostics": {k: v for k, v in result.diagnostics.items() if np.isfinite(v)},
    }  # fmt: skip


def without(output: Path, name: str, star: str) -> Path:
    """Folder of the emulator that a star has taught nothing."""
    return output / f"{name}-without-{star.replace(' ', '-')}"


def spectrum_of(star: Star) -> bayne.Spectrum:
    """Its spectrum, which knows what star it is of."""
    return replace(star.read(), id=star.name, star_id=star.star)


def taught(name: str, emulator: bayne.Emulator, stars: list[Star], output: Path) -> None:
    """Learn and write what was learnt, the emulator that all stars taught last."""
    spectra = [spectrum_of(star) for star in stars]
    clock = time.perf_counter()
    made = learn(
        emulator, spectra, [star.known for star in stars],
        tell=lambda done, text: print(f"{name} {time.perf_counter() - clock:5.0f} s {done:4.0%} {text}", flush=True),
        **SETS[name][1],
    )  # fmt: skip
    made.stars.write(output / f"{name}-stars.ecsv", overwrite=True)
    made.lines.write(output / f"{name}-lines.ecsv", overwrite=True)
    for star in made.without:
        bayne.save_emulator(made.untaught_by(star), without(output, name, star))
    bayne.save_emulator(made.emulator, output / f"{name}-calibrated")


def run(name: str, data: Path, output: Path) -> None:
    """Learn, and measure each star by what the others taught."""
    make, options = SETS[name]
    emulator = bayne.load_emulator(name)
    stars, all_taught = make(data, emulator), output / f"{name}-calibrated"
    if not (all_taught / "card.json").exists():
        taught(name, emulator, stars, output)
    records = output / f"{name}.jsonl"
    there = {json.loads(line)["name"] for line in records.read_text().splitlines()} if records.exists() else set()
    tests = unseen(data, emulator) if name == "optical-low" else [(star, options) for star in stars]
    for star, how in tests:
        if star.name in there:
            continue
        spectrum = star.read()
        learnt = bayne.load_emulator(all_taught if name == "optical-low" else without(output, name, star.star))
        record = {"name": star.name, "star": star.star, "known": star.known}
        for when, used in (("before", emulator), ("after", learnt)):
            if when == "before" and name == "optical-high":
                continue  # minutes a star, and what `survey_stars.py benchmark` measures
            record[when] = found = measured(star, spectrum, used, how)
            told = ", ".join(
                f"{label} {found['labels'][label][0] - star.known[label][0]:+.3f} ± {found['labels'][label][1]:.3f}"
                for label in LABELS
            )
            print(f"{star.name} {when}: {told} {'ok' if found['ok'] else found['flags']}", flush=True)
        with records.open("a") as file:
            file.write(json.dumps(record) + "\n")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("emulators", nargs="+", choices=list(SETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("build/calibrated"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    for name in given.emulators:
        run(name, given.data, given.output)


if __name__ == "__main__":
    main()
