"""The data dictionary: one name per quantity, with its unit, in every table of results."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from deblurlib import dictionary, papers, results
from deblurlib.analysis.verdicts import VERDICTS
from deblurlib.book.data_page import data_page
from deblurlib.dictionary import name_of
from deblurlib.evaluation import METRICS, OPTIONAL_METRICS

TABLES = sorted((results.ROOT / "results" / "tables").glob("*.csv"))
PRINTED = sorted((papers.FOLDER / "tables").glob("*.csv"))
COLUMNS = dictionary.columns()
TIMED = {"10_networks", "10_operators"}  # timings, which are not stored
UNITS = {  # how a name ends, by its unit
    "dB": "_db",
    "ms": "_ms",
    "s": "_s",
    "px": "_px",
    "feature px": "_px",
    "%": "_percent",
    "°": "_deg",
    "10^6 bytes": "_mb",
    "2^20 bytes": "_mib",
    "10^9 bytes": "_gb",
    "10^9/s": "gflop_per_s",
}


@pytest.mark.parametrize("path", TABLES + PRINTED, ids=lambda path: path.stem)
def test_every_table_validates(path):
    assert dictionary.problems(path) == []


def test_every_table_has_a_title_and_no_title_is_left_over():
    titled = pd.read_csv(dictionary.FOLDER / "tables.csv").table
    assert {path.stem for path in TABLES} <= set(titled)
    assert titled.is_unique and titled.is_monotonic_increasing
    lessons = titled[titled.str.match(r"\d\d_")]
    cells = {
        f"{path.name[:2]}_{name}"
        for path in (results.ROOT / "notebooks").glob("*.ipynb")
        for name in re.findall(r'"(\w+)"', _code(path))
    }
    claims = {f"12_claims_{paper}" for paper in ("svrnn", "svdn", "radn", "aspdc")}
    shown = {f"08_{name}" for name in papers.list_tables()}
    assert set(lessons) - claims - shown <= cells


def test_no_name_is_left_over():
    titled = set(pd.read_csv(dictionary.FOLDER / "tables.csv").table)
    lacking = sorted(titled - {path.stem for path in TABLES} - TIMED)
    if lacking:
        pytest.skip(f"results/tables lacks {', '.join(lacking)}: a name may be theirs")
    headings = pd.read_csv(dictionary.FOLDER / "headings.csv", dtype=str)
    of_commands = {name_of(metric) for metric in [*METRICS, *OPTIONAL_METRICS]}
    of_commands |= {"low", "high"}  # of `deblurlib ablation`
    of_sweeps = headings.heading.str.startswith("moved ")  # in the measurements of each training
    of_verdicts = headings.heading.isin(VERDICTS)  # a column where any claim has it
    used = of_commands | set(headings[headings.table.isin(TIMED) | of_sweeps | of_verdicts].name)
    left = [name for name in dictionary.unused(TABLES + PRINTED) if name not in used]
    assert left == [], f"no result has {', '.join(left)}: drop them from the dictionary"


def test_a_name_is_used_with_its_prefixes_and_places(tmp_path):
    (tmp_path / "some.csv").write_text("blurry_rgb_psnr_db,printed_ssim\n1,2\n")
    used = set(COLUMNS.name) - set(dictionary.unused([tmp_path / "some.csv"]))
    assert used == {"rgb_psnr_db", "ssim"}
    assert dictionary.unused([]) == COLUMNS.name.tolist()


def _code(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def test_names_are_plain_and_end_in_their_unit():
    assert COLUMNS.name.is_unique and COLUMNS.name.str.fullmatch(r"[a-z][a-z0-9_*]*").all()
    assert set(COLUMNS.kind) <= set(dictionary.KINDS) and (COLUMNS.meaning != "").all()
    for row in COLUMNS[COLUMNS.unit.isin(UNITS) & (COLUMNS.kind != "text")].itertuples():
        assert row.name.endswith(UNITS[row.unit]), row.name
    endings = sorted(set(UNITS.values()), key=len, reverse=True)
    for row in COLUMNS[COLUMNS.kind == "number"].itertuples():
        ending = next((ending for ending in endings if row.name.endswith(ending)), None)
        assert ending is None or UNITS.get(row.unit) == ending, row.name


def test_headings_lead_to_names_that_are_listed():
    headings = pd.read_csv(dictionary.FOLDER / "headings.csv", dtype=str)
    assert not headings.duplicated(["table", "heading"]).any()
    for name in headings.name:
        filled = name.replace("*", "deblurlib_fp32" if name.startswith("*") else "x")
        assert dictionary.is_known(filled), name


def test_each_metric_has_one_name():
    for metric in METRICS:
        name = dictionary.name_of(metric)
        assert (
            dictionary.is_known(name) and dictionary.name_of(f"blurry {metric}") == f"blurry_{name}"
        )
    assert dictionary.name_of("rgb-psnr") == "rgb_psnr_db"


@pytest.mark.parametrize(
    "table, heading, name",
    [
        ("08_svdn_table2", "minus base", "difference_db"),
        ("08_seeds", 0, "difference_seed_0_db"),
        ("08_seeds", "row", "row"),
        ("02_flow_epe", "epe-px, Farnebäck", "epe_farneback_px"),
        ("01_kernel_zeros", "at noise 0.005", "signal_psnr_at_noise_0_005_db"),
        ("03_memory", "p", "scan_weight"),
        ("09_probes", "low", "rho_low"),
        ("any", "reported psnr_db", "printed_psnr_db"),
        ("any", "printed ssim-matlab-rgb3d", "printed_ssim_matlab_rgb3d"),
        ("any", "my own column", "my own column"),
    ],
)
def test_a_heading_has_the_name_of_its_table(table, heading, name):
    assert dictionary.name_of(heading, table) == name


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("psnr\n1\n", "has the column 'psnr', which columns.csv does not list"),
        ("parameters\n6.3e+06\n", "has '6.3e+06' in parameters, whose kind is integer"),
        ("gain_db\n1.4 dB\n", "has '1.4 dB' in gain_db, whose kind is number"),
        ("holds\nyes\n", "has 'yes' in holds, whose kind is truth"),
        ("seed,seed\n1,2\n", "has two columns 'seed'"),
    ],
)
def test_what_does_not_validate_is_named(tmp_path, text, sentence):
    path = tmp_path / "t.csv"
    path.write_text(text)
    (found,) = dictionary.problems(path)
    assert sentence in found


def test_empty_cells_infinities_and_prefixes_validate(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("seed,printed_psnr_db,blurry_ssim_grey\n,inf,-1e-05\n3,,0.5\n")
    assert dictionary.problems(path) == []


def test_a_saved_table_reads_back_to_the_last_bit_with_its_headings(tmp_path):
    table = pd.DataFrame(
        {
            "row": ["base", "fd"],
            "parameters": [12_732_227, None],
            "rgb-psnr": np.float32([1 / 3, 25.4931234]),
            "minus base": [np.nan, 0.1 + 0.2],
        }
    )
    path = tmp_path / "08_svdn_table2.csv"
    results.save_table(table, path)
    assert path.read_text().splitlines() == [
        "row,parameters,rgb_psnr_db,difference_db",
        "base,12732227,0.3333333432674408,",
        f"fd,,{float(np.float32(25.4931234))!r},0.30000000000000004",
    ]
    assert dictionary.problems(path) == []
    back = results.read_table(path)
    assert list(back) == list(table)
    assert back["minus base"][1] == 0.1 + 0.2 and back["rgb-psnr"][0] == np.float32(1 / 3)
    results.origin_of(path).unlink()
    assert list(results.read_table(path))[2:] == ["rgb_psnr_db", "difference_db"]


def test_the_results_folder_explains_its_tables():
    text = (results.ROOT / "results" / "README.md").read_text(encoding="utf-8")
    assert text == data_page(path.stem for path in TABLES)
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(lines) == len(TABLES) + len(COLUMNS) + len(papers.metrics())
    assert all(len(re.findall(r"(?<!\\)\|", line)) in (3, 5) for line in lines)
