"""The page of a run tells what its table says, and copes with runs of any size."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from bayne import Flag
from bayne.catalog.catalogue import Catalogue
from bayne.catalog.columns import Layout
from bayne.catalog.visits import MIN_PAIRS, calibration
from bayne.errors import ReadError
from bayne.flags import SENTENCES
from bayne.reports import write_catalogue_page
from bayne.reports.catalogue_figures import MOST, Stars, kiel_figure
from bayne.reports.listed import LISTED
from bayne.reports.stack import MIN_STARS, Stack, read_stack, worst_windows

ELEMENTS = ("li", "mg", "ti", "eu")
LABELS = ("teff", "logg", "fe_h", "vmic", *(f"{e}_fe" for e in ELEMENTS), "rv", "vsini")
SIGMA = {"teff": 25.0, "logg": 0.05, "fe_h": 0.03, "vmic": 0.06, "rv": 0.12, "vsini": 0.7}
WRONG = ((4861.0, -0.012), (5184.5, 0.02), (6564.6, 0.03))


def synthetic(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Columns of a run over mock stars: dwarfs and giants, every fourth twice, some flagged, some failed."""
    rng = np.random.default_rng(seed)
    star = np.repeat(np.arange(count), np.where(np.arange(count) % 4 == 0, 2, 1))[:count]
    giant = rng.random(count) < 0.45
    logg = np.where(giant, rng.normal(2.5, 0.45, count), rng.normal(4.3, 0.2, count))
    teff = np.where(giant, 4800 + 330 * (logg - 2.5) + rng.normal(0, 90, count), rng.normal(5800, 420, count))
    iron = np.clip(rng.normal(-0.2, 0.28, count) - 0.9 * (rng.random(count) < 0.06), -2.4, 0.45)
    truth = {"teff": teff, "logg": logg, "fe_h": iron, "vmic": 1.2 + 0.3 * giant}
    for i, element in enumerate(ELEMENTS):
        slope = 0.35 * np.clip(-iron, -0.2, 0.8) if element in ("o", "mg", "si", "ca", "ti") else 0.05 * iron * (i % 3)
        truth[f"{element}_fe"] = slope + rng.normal(0, 0.04, count) + 0.4 * (element in ("li", "eu"))
    truth |= {"rv": rng.normal(0, 35, count), "vsini": rng.gamma(2.0, 2.5, count)}
    truth = {name: value[star] for name, value in truth.items()}
    snr = np.exp(rng.normal(np.log(60), 0.5, count))
    failed, doubtful = rng.random(count) < 0.02, rng.random(count) < 0.06
    warn = np.zeros(count, np.int32)
    for bit, share in ((Flag.NEAR_EDGE, 0.08), (Flag.RESIDUALS_CORRELATED, 0.3), (Flag.OUTLIERS_REMOVED, 0.6)):
        warn |= np.where(rng.random(count) < share, int(bit), 0).astype(np.int32)
    bad = np.where(doubtful, np.where(rng.random(count) < 0.7, int(Flag.BAD_FIT), int(Flag.DOUBLE_LINED)), 0)
    bad = np.where(failed, int(Flag.FAILED), bad) >> 32
    columns: dict[str, np.ndarray] = {
        "spectrum_id": np.array([f"s{i:06d}" for i in range(count)], dtype=object),
        "star_id": np.array([f"star{i:05d}" for i in star], dtype=object),
        "path": np.array([f"spectra/s{i:06d}.fits" for i in range(count)], dtype=object),
        "ok": ~(failed | doubtful),
        "flag_warn": np.where(failed, 0, warn).astype(np.int32),
        "flag_bad": bad.astype(np.int32),
        "method": np.where(failed, "", np.where(rng.random(count) < 0.05, "nuts", "fast")).astype(object),
    }
    for i, name in enumerate(LABELS):
        bound = SIGMA.get(name, 0.02 + 0.012 * (i % 7)) * 60 / snr * np.exp(rng.normal(0, 0.12, count))
        std = np.hypot(bound, 0.15 * SIGMA.get(name, 0.03)) * np.exp(rng.normal(0.03, 0.05, count))
        understated = 1.5 if name == "teff" else 1.0
        value = truth[name] + understated * std * rng.standard_normal(count)
        limited = (rng.random(count) < 0.25) & (name in ("li_fe", "eu_fe"))
        flag = np.where(std > 0.12, int(Flag.PRIOR_DOMINATED), 0) if name.endswith("_fe") else np.zeros(count)
        empty = np.where(failed, np.nan, 0.0)
        columns |= {name: value + empty, f"{name}_std": std + empty, f"{name}_bound": bound + empty}
        columns[f"{name}_upper_95"] = np.where(limited, value + 1.6 * std, np.nan) + empty
        columns[f"{name}_std_over_bound"] = std / bound + empty
        columns[f"{name}_flag"] = flag.astype(np.int64)
    chi2 = np.exp(rng.normal(0.1, 0.1, count)) * np.where(doubtful, 4.0, 1.0)
    columns["chi2_reduced"] = np.where(failed, np.nan, chi2)
    for arm, factor in (("blue", 0.6), ("green", 1.0), ("red", 1.3)):
        columns[f"snr_{arm}"] = np.where(failed, np.nan, factor * snr)
    columns["seconds"] = np.where(failed, 0.0, np.exp(rng.normal(0.2, 0.3, count)))
    columns["message"] = np.where(failed, "spectra/x.fits: not a FITS file", "").astype(object)
    return columns


def write_run(folder: Path, columns: dict[str, np.ndarray], number: int | None = None, block: int = 512) -> Path:
    """A run's folder of these rows, with residuals that are wrong at three places for every star.

    `number` is what the catalogue has, where the run is not finished.
    """
    count = len(columns["spectrum_id"])
    names = [name for name in LABELS if f"{name}_std" in columns]
    layout = Layout(tuple(names), tuple(names))
    later = [f"later-{i}" for i in range((number or count) - count)]
    ids = [*columns["spectrum_id"], *later]
    entries = {"spectrum_id": ids, "star_id": ids, "path": [*columns["path"], *later]}
    wanted = Catalogue(pa.table({key: pa.array(values, pa.string()) for key, values in entries.items()}), folder)
    for part in ("rows", "residuals"):
        (folder / part).mkdir(parents=True)
    pq.write_table(wanted.table, folder / "catalogue.parquet")
    about = {"format": 2, "number": len(ids), "block": block, "catalogue": wanted.hash, "root": str(folder), "seed": 0}
    about |= {"labels": names, "free": names, "emulator": {"name": "toy-galah", "hash": "0"}}
    about["configuration"] = {"keep_spectra": False}
    (folder / "manifest.json").write_text(json.dumps(about))
    (folder / "status.json").write_text(json.dumps({"number": len(ids), "done": count, "rate": 1.62}))
    rng = np.random.default_rng(1)
    wave = np.concatenate([np.arange(a, b, 0.05) for a, b in ((4715, 4900), (5150, 5210), (5650, 5875), (6480, 6740))])
    wrong = sum(size * np.exp(-0.5 * ((wave - at) / 0.25) ** 2) for at, size in WRONG)
    arms = [name.removeprefix("snr_") for name in columns if name.startswith("snr_")]
    for i, start in enumerate(range(0, count, block)):
        rows = {name: values[start : start + block] for name, values in columns.items()}
        size = len(rows["ok"])
        arrays = {}
        for column in layout.columns(arms):
            if column.name in rows:
                arrays[column.name] = pa.array(rows[column.name]).cast(column.type)
            else:
                nothing = {"covariance": [np.nan] * (len(names) * (len(names) + 1) // 2), "spectrum_hash": ""}
                arrays[column.name] = pa.array([nothing.get(column.name, 0)] * size, column.type)
        pq.write_table(pa.table(arrays), folder / "rows" / f"block-{i:06d}.parquet")
        stars = int(rows["ok"].sum())
        noise = 0.02 * (1 + 0.5 * (wave < 5000)) * rng.standard_normal((stars, wave.size))
        residual = np.asarray(wrong + noise + 0.0006 * np.sin(wave / 9))
        sums = {"number": np.full(wave.size, stars), "sum": residual.sum(0), "square": (residual**2).sum(0)}
        np.savez(folder / "residuals" / f"block-{i:06d}.npz", wavelength=wave, **sums)
    return folder


def page(folder: Path, **options: bool) -> str:
    return write_catalogue_page(folder, folder / "report.html", **options).read_text(encoding="utf-8")


def text_of(html: str) -> str:
    """What a reader sees, in one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def rows_of(html: str, title: str) -> list[list[str]]:
    """Cells of the first table after a title."""
    body = re.search(rf"<h[23]>{re.escape(title)}</h[23]>.*?<tbody>(.*?)</tbody>", html, re.DOTALL)
    assert body, title
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body[1])
    return [[text_of(cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def pictures(html: str) -> list[str]:
    found = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)">', html)
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for _, data in found)
    return [unescape(alt) for alt, _ in found]


COUNT = 600


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    return synthetic(COUNT)


@pytest.fixture(scope="module")
def run_folder(columns: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("run") / "galah-dr5", columns, block=256)
    (folder / "pages").mkdir()
    for name in columns["spectrum_id"]:
        (folder / "pages" / f"{name}.html").write_text("a star")
    return folder


@pytest.fixture(scope="module")
def usual(run_folder: Path) -> str:
    return page(run_folder)


def test_the_header_counts_what_the_table_has(usual: str, columns: dict[str, np.ndarray]) -> None:
    text, ok = text_of(usual), columns["ok"]
    failed = (columns["flag_bad"] & (int(Flag.FAILED) >> 32)) != 0
    for title, count in (
        ("Ok", ok.sum()),
        ("Ok, with warnings", (ok & (columns["flag_warn"] != 0)).sum()),
        ("Flagged bad", (~ok & ~failed).sum()),
        ("Failed", failed.sum()),
    ):
        assert f"{title} {count} ({100 * count / COUNT:.1f}%)" in text
    assert f"Spectra {COUNT} " in text
    assert "galah-dr5 finished" in text
    assert "Spectra per hour 5,832 " in text
    assert "toy-galah" in text
    _, visits = np.unique(columns["star_id"], return_counts=True)
    assert f"Stars with several spectra {(visits > 1).sum()} " in text
    methods = columns["method"][~failed]
    assert f"fast {(methods == 'fast').sum()}, nuts {(methods == 'nuts').sum()}" in text


def test_the_table_of_labels(usual: str, columns: dict[str, np.ndarray]) -> None:
    rows = {row[0]: row[1:] for row in rows_of(usual, "Labels")}
    ok = columns["ok"]
    assert len(rows) == len(LABELS)
    assert rows["Teff (K)"][0] == str(ok.sum())
    assert float(rows["Teff (K)"][1]) == pytest.approx(np.median(columns["teff_std"][ok]), abs=0.5)
    assert float(rows["[Mg/Fe] (dex)"][2]) == pytest.approx(np.median(columns["mg_fe_bound"][ok]), abs=0.0005)
    assert float(rows["RV (km/s)"][3]) == pytest.approx(np.median(columns["rv_std_over_bound"][ok]), abs=0.005)
    assert rows["[Li/Fe] (dex)"][4] == str((ok & np.isfinite(columns["li_fe_upper_95"])).sum())
    expected = calibration(Table(columns), ["teff"])[0]
    assert expected["pairs"] > MIN_PAIRS
    assert rows["Teff (K)"][5:] == [
        str(expected["pairs"]),
        f"{expected['inflation']:.2f} ± {expected['inflation_error']:.2f}",
    ]


def test_flags_by_kind(usual: str, columns: dict[str, np.ndarray]) -> None:
    rows = [row for row in rows_of(usual, "Flags") if len(row) > 1]
    words = {row[0]: row for row in rows}
    assert len(rows) == 6
    for bit in (Flag.NEAR_EDGE, Flag.BAD_FIT):
        bits = columns["flag_bad"].astype(np.int64) << 32 if bit.bad else columns["flag_warn"]
        count = int(((bits & int(bit)) != 0).sum())
        row = words[(bit.name or "").lower().replace("_", " ")]
        assert row[1:3] == [str(count), f"{100 * count / COUNT:.1f}%"]
        assert row[4] == SENTENCES[bit]


def test_wavelengths_that_are_wrong_for_everyone(usual: str, columns: dict[str, np.ndarray]) -> None:
    rows = rows_of(usual, "Wavelengths that are wrong for everyone")
    worst_first = sorted(WRONG, key=lambda pair: -abs(pair[1]))
    for row, (wavelength, size) in zip(rows, worst_first, strict=False):
        assert float(row[1]) < wavelength < float(row[2])
        assert float(row[4].replace("−", "-")) == pytest.approx(100 * size, rel=0.15)
        assert float(row[5]) == pytest.approx(3.0 if wavelength < 5000 else 2.0, rel=0.05)
        assert row[6] == str(columns["ok"].sum())
    assert "H I 6564.61" in rows[0][7]


def test_worst_random_and_failed_spectra_are_linked(
    usual: str, run_folder: Path, columns: dict[str, np.ndarray]
) -> None:
    worst = rows_of(usual, "Worst fits")
    ok, bad = (np.where(which, columns["chi2_reduced"], -1) for which in (columns["ok"], ~columns["ok"]))
    titles = [i for i, row in enumerate(worst) if len(row) == 1]
    assert [worst[i][0] for i in titles] == ["Ok", "Flagged bad"]
    assert worst[1][0] == columns["spectrum_id"][np.argmax(ok)]
    assert worst[titles[1] + 1][0] == columns["spectrum_id"][np.nanargmax(bad)]
    assert "bad fit" in worst[titles[1] + 1][6] or "double lined" in worst[titles[1] + 1][6]
    random = rows_of(usual, "Random spectra")
    assert len(random) == LISTED
    assert all(columns["ok"][list(columns["spectrum_id"]).index(row[0])] for row in random)
    failed = rows_of(usual, "Failed")
    assert failed[0][1:] == [f"spectra/{failed[0][0]}.fits", "spectra/x.fits: not a FITS file"]
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', usual)
    assert len(links) == len(worst) - 2 + len(random) + len(failed)
    for link, name in links:
        assert link == f"pages/{name}.html"
        assert (run_folder / link).is_file()


def test_links_start_from_the_page(run_folder: Path, usual: str, tmp_path: Path) -> None:
    html = write_catalogue_page(run_folder, tmp_path / "elsewhere.html").read_text(encoding="utf-8")
    assert rows_of(html, "Random spectra") == rows_of(usual, "Random spectra")  # they are drawn with a seed
    link = re.findall(r'<a href="([^"]+)">', html)[0]
    assert (tmp_path / link).is_file()


def test_one_file_with_all_pictures(usual: str) -> None:
    assert pictures(usual) == [
        "Kiel diagram",
        "Abundances",
        "Errors against S/N",
        "Mean residual by wavelength",
        "Close-ups of the worst windows",
        "Pulls between visits",
    ]
    assert not re.search(r'src="(?!data:)|<link|<script|https?://', usual)


def test_many_stars_stay_small(tmp_path: Path) -> None:
    few = without("vmic", "li_fe", "ti_fe", "eu_fe", "rv", "vsini")
    sizes = [len(page(write_run(tmp_path / str(n), few(synthetic(n)), block=n))) for n in (400, 4000)]
    assert sizes[1] < 1.5 * sizes[0]
    assert sizes[1] < 2e6


def test_no_more_points_than_can_be_seen() -> None:
    count = 3 * MOST
    table = Table({"ok": np.ones(count, bool), "teff": np.full(count, 5000.0), "logg": np.full(count, 4.0)})
    figure = kiel_figure(Stars(table))
    assert figure is not None
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == MOST


def change(**values: object) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Columns with some of them set to one value for all rows."""
    return lambda columns: columns | {name: np.full_like(columns[name], value) for name, value in values.items()}


def without(*labels: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Columns without those of some labels."""
    gone = tuple(f"{label}{end}" for label in labels for end in ("", "_std", "_bound", "_upper_95", "_std_over_bound"))
    gone += tuple(f"{label}_flag" for label in labels)
    return lambda columns: {name: values for name, values in columns.items() if name not in gone}


def first(count: int) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda columns: {name: values[columns["ok"]][:count] for name, values in columns.items()}


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (first(0), ("0 of 40 done", "No flag is set.", "Nothing was fitted.", "No star was visited twice.")),
        (first(1), ("1 of 40 done", "Fewer than 10 spectra", "No star was visited twice.")),
        (first(5), ("5 of 40 done", "too few for a picture")),
        (change(ok=False), ("No spectrum that is ok has both Teff and log g.", "no residuals", "No spectrum is ok.")),
        (without("teff", "fe_h"), ("No spectrum that is ok has both Teff and log g.", "has an abundance [X/Fe]")),
        (change(snr_blue=np.nan, snr_green=np.nan, snr_red=np.nan), ("has both an S/N and an error", "pixel unknown")),
        (change(teff_bound=np.inf, fe_h_std=0.0), ("[Fe/H] (dex) 0 ",)),
    ],
    ids=["none", "one", "five", "nothing ok", "labels", "no S/N", "no bound"],
)
def test_odd_runs_say_what_is_missing(alter: Callable, said: tuple[str, ...], tmp_path: Path) -> None:
    text = text_of(page(write_run(tmp_path / "run", alter(synthetic(40)), number=40)))
    for words in said:
        assert words in text


def test_a_name_cannot_change_the_page(tmp_path: Path) -> None:
    columns = synthetic(3)
    columns["spectrum_id"][:] = ["<script>", "a/b & c", "ü"]
    html = page(write_run(tmp_path / "run", columns))
    assert "<script>" not in html
    assert "a/b &amp; c" in html


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"no folder of a run: it has no manifest\.json"):
        page(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_damaged_residuals_are_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", synthetic(40), block=20)
    path = folder / "residuals" / "block-000001.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(ReadError, match="block-000001"):
        page(folder)
    np.savez(path, wavelength=np.arange(3.0), **{key: np.ones(3) for key in ("number", "sum", "square")})
    with pytest.raises(ReadError, match="wavelengths"):
        page(folder)
    assert not (folder / "report.html").exists()


def test_a_page_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", first(3)(synthetic(40)))
    page(folder)
    with pytest.raises(FileExistsError):
        page(folder)
    page(folder, overwrite=True)


def stacked(residuals: np.ndarray, folder: Path, blocks: int) -> Stack:
    """The stack of residuals (n, p) that were written in blocks; NaN where a star has no pixel."""
    (folder / "residuals").mkdir()
    wave = 5000 + 0.05 * np.arange(residuals.shape[1])
    for i, part in enumerate(np.array_split(residuals, blocks)):
        sums = {"number": np.isfinite(part).sum(0), "sum": np.nansum(part, 0), "square": np.nansum(part**2, 0)}
        np.savez(folder / "residuals" / f"block-{i:06d}.npz", wavelength=wave, **sums)
    found = read_stack(folder)
    assert found is not None
    return found


def test_blocks_add_up(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.01, 0.03, (50, 200))
    values[rng.random(values.shape) < 0.2] = np.nan
    stack = stacked(values, tmp_path, 4)
    np.testing.assert_array_equal(stack.number, np.isfinite(values).sum(0))
    np.testing.assert_allclose(stack.mean, np.nanmean(values, 0))
    np.testing.assert_allclose(stack.scatter, np.nanstd(values, 0, ddof=1))


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_wrong_for_everyone(seed: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.03, (200, 4000))
    for name, part, expected in (("noise", noise, 0), ("wrong", noise + 0.01 * (np.arange(4000) // 20 == 100), 1)):
        (tmp_path / name).mkdir()
        assert len(worst_windows(stacked(part, tmp_path / name, 1))) == expected
    (tmp_path / "few").mkdir()
    assert worst_windows(stacked(noise[: MIN_STARS - 1] + 1.0, tmp_path / "few", 1)) == []
