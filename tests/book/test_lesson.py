"""What every notebook opens with."""

import hashlib
import json
import random

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from deblurlib.analysis.significance import paired_bootstrap
from deblurlib.book import widgets
from deblurlib.book.lesson import open_lesson, seed_everything
from deblurlib.book.notebooks import PLAIN_METADATA
from deblurlib.data import list_photographs
from deblurlib.experiments.presets import PRESETS
from deblurlib.models import create_model, load_model, save_model, weights
from deblurlib.training import Experiment, TrainingCrops


@pytest.fixture(autouse=True)
def as_before():
    state = torch.are_deterministic_algorithms_enabled(), plt.rcParams.copy()
    yield
    torch.use_deterministic_algorithms(state[0])
    plt.rcParams.update(state[1])


def test_a_lesson_writes_tables_and_figures_under_its_number(tmp_path):
    lesson = open_lesson("01", preset="smoke", results=tmp_path, seed=3, device="cpu")
    table = pd.DataFrame({"rgb-psnr": [25.0]})
    assert lesson.table(table, "numbers", steps=40) is table
    figure, _ = plt.subplots()
    assert lesson.figure(figure, "curve") is None
    lesson.compare(torch.zeros(3, 4, 4), torch.ones(3, 4, 4), "pair")
    names = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )
    tables = ["tables/01_numbers.csv", "tables/01_numbers.csv.origin.json"]
    assert names == [
        "figures/01_curve.png",
        "pictures/01_pair_after.png",
        "pictures/01_pair_before.png",
        *tables,
    ]
    assert Image.open(tmp_path / "pictures" / "01_pair_after.png").getpixel((0, 0)) == (
        255,
        255,
        255,
    )
    assert not plt.fignum_exists(figure.number)
    origin = json.loads((tmp_path / "tables" / "01_numbers.csv.origin.json").read_text())
    expected = {
        "preset": "smoke",
        "seed": 3,
        "device": "cpu",
        "data": "bundled scenes",
        "steps": 40,
    }
    assert {key: origin[key] for key in expected} == expected


def test_an_explorer_is_saved_as_it_stands_and_returned(tmp_path):
    explorer = widgets.before_after(np.zeros((32, 32)), np.ones((32, 32)))
    assert open_lesson("01", results=tmp_path).explore(explorer, "pair") is explorer
    first = (tmp_path / "figures" / "01_pair.png").read_bytes()
    explorer.sliders["share"].value = 0.25
    open_lesson("01", results=tmp_path).explore(explorer, "pair")
    assert (tmp_path / "figures" / "01_pair.png").read_bytes() != first and plt.get_fignums() == []


def test_data_and_variant_are_resolved(tmp_path, monkeypatch):
    (tmp_path / "GOPRO").mkdir()
    monkeypatch.chdir(tmp_path)
    lesson = open_lesson("02", data="GOPRO", variant="blur", results=tmp_path)
    assert (lesson.data, lesson.variant, lesson.data_name) == (tmp_path / "GOPRO", "blur", "GOPRO")
    bundled = open_lesson("02", results=tmp_path)
    assert bundled.data is None and bundled.variant is None


def test_wrong_parameters_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data folder .*nowhere does not exist"):
        open_lesson("01", data=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no preset 'big': choose one of smoke, quick"):
        open_lesson("01", preset="big", results=tmp_path)


def test_seeds_reach_every_generator(tmp_path):
    def draw(seed):
        open_lesson("01", results=tmp_path, seed=seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw(0) == draw(0)
    assert all(a != b for a, b in zip(draw(0), draw(1), strict=True))
    seed_everything(0)
    assert torch.are_deterministic_algorithms_enabled()


def test_the_test_set_is_the_rendered_scenes_or_windows_of_real_pairs(tmp_path):
    rendered = open_lesson("01", results=tmp_path / "r").test_set()
    assert len(rendered) == PRESETS["smoke"].test_scenes and rendered[0].flow_next is not None
    rng = np.random.default_rng(0)
    for side in ("input", "target"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(rng.integers(0, 256, (150, 200, 3), np.uint8)).save(
                tmp_path / "pairs" / side / f"{number:02d}.png"
            )
    real = open_lesson("01", data=tmp_path / "pairs", results=tmp_path / "r").test_set()
    assert (
        len(real) == 8 and real[0].name.endswith("00") and real[7].name.endswith("19")
    )  # from the first to the last
    whole = real.dataset[19].sharp
    assert torch.equal(real[7].sharp, whole[:, 11:139, 36:164])


def test_trainings_of_a_lesson_stay_in_its_results_folder(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("DEBLURLIB_RESULTS", str(elsewhere))
    monkeypatch.setattr("deblurlib.book.lesson.load_model", missing)
    monkeypatch.chdir(tmp_path)
    lesson = open_lesson("01", results="here", device="cpu")
    tiny = Experiment(model="reblur", steps=1, scenes=2, scene_size=64, batch=1, size="small")
    monkeypatch.setattr("deblurlib.experiments.network", lambda *names, **options: tiny)
    first = lesson.fit(tiny, progress=False)
    assert first.folder == tmp_path / "here" / "runs" / tiny.hash and not first.cached
    assert lesson.fit(tiny).cached
    lesson.trained("reblur")  # without shipped weights it trains, too
    assert not elsewhere.exists()


def test_other_settings_do_not_replace_the_published_results(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RESULTS", str(tmp_path / "results"))
    (tmp_path / "pairs").mkdir()
    folders = {
        settings: open_lesson("01", preset=settings[0], data=settings[1], variant=settings[2])
        for settings in [
            ("quick", None, None),
            ("smoke", None, None),
            ("smoke", None, "blur"),
            ("quick", tmp_path / "pairs", "blur"),
        ]
    }
    shown = [
        lesson.results.relative_to(tmp_path / "results").as_posix() for lesson in folders.values()
    ]
    assert shown == [".", "smoke", "smoke", "quick-pairs-blur"]
    assert {lesson.runs for lesson in folders.values()} == {tmp_path / "results" / "runs"}
    chosen = open_lesson("01", preset="smoke", results=tmp_path / "here")
    assert (chosen.results, chosen.runs) == (tmp_path / "here", tmp_path / "here" / "runs")


def missing(*arguments, **options):
    raise FileNotFoundError


def run_with(tmp_path, **passed):
    """Run the first cells of a lesson through papermill, with parameters."""
    cells = [
        new_code_cell('preset = "smoke"\nresults = ""', metadata={"tags": ["parameters"]}),
        new_code_cell(
            "from deblurlib.book.lesson import open_lesson\n"
            'print(open_lesson("01", preset=preset, results=results).preset.name)'
        ),
    ]
    notebook = new_notebook(cells=cells, metadata=PLAIN_METADATA)
    source, copy = tmp_path / "01_a.ipynb", tmp_path / "copy.ipynb"
    nbformat.write(notebook, source)
    parameters = {"results": str(tmp_path / "results"), **passed}
    papermill.execute_notebook(source, copy, parameters, kernel_name="python3", progress_bar=False)
    outputs = nbformat.read(copy, as_version=4).cells[-1].outputs
    return "".join(output.text for output in outputs)


def test_papermill_passes_known_parameters_and_fails_on_a_misspelt_one(tmp_path):
    assert run_with(tmp_path, preset="quick") == "quick\n"
    with pytest.raises(papermill.PapermillExecutionError, match="parameter prest, which no lesson"):
        run_with(tmp_path, prest="quick")


def test_the_environment_replaces_the_saved_preset_but_not_the_passed_one(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_PRESET", "quick")
    said = "The preset is 'quick', from the environment variable DEBLURLIB_PRESET.\n"
    assert run_with(tmp_path) == said + "quick\n"
    assert run_with(tmp_path, preset="long") == "long\n"
    monkeypatch.setenv("DEBLURLIB_PRESET", "smoke")  # the saved one
    assert run_with(tmp_path) == "smoke\n"
    monkeypatch.setenv("DEBLURLIB_PRESET", "huge")
    with pytest.raises(papermill.PapermillExecutionError, match="There is no preset 'huge'"):
        run_with(tmp_path)


def test_tables_record_the_weights_that_the_lesson_has_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "weights")
    file = tmp_path / "weights" / "svdn_small.safetensors"

    def ship(seed):
        torch.manual_seed(seed)
        save_model(create_model("svdn", size="small"), file, {"photographs": "none"})

    def recorded(*files):
        lesson = open_lesson("09", results=tmp_path / "results", device="cpu")
        for each in files:
            load_model("svdn", each, size="small")
        lesson.table(pd.DataFrame({"rgb-psnr": [25.0]}), "numbers")
        origin = tmp_path / "results" / "tables" / "09_numbers.csv.origin.json"
        return json.loads(origin.read_text()).get("weights")

    ship(1)
    first = recorded("default")
    assert first == {"svdn_small": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert recorded("default") == first and recorded() is None
    ship(2)
    assert recorded("default") == {"svdn_small": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert recorded("default") != first
    own = tmp_path / "own.safetensors"
    save_model(create_model("svdn", size="small"), own, {})
    assert recorded(own) is None  # not shipped: nobody else could look its hash up


def test_estimates_over_scenes_resample_their_photographs(tmp_path):
    lesson = open_lesson("09", results=tmp_path, device="cpu")
    scenes = lesson.test_scenes()
    names = [scenes.photograph(i) for i in range(len(scenes))]
    differences = np.random.default_rng(0).normal(1, 0.1, (2, len(scenes)))

    def check(given, kept):
        found = lesson.estimate(given, scenes)
        wanted = paired_bootstrap(np.atleast_2d(given)[:, kept], [names[i] for i in kept])
        assert found.value == pytest.approx(wanted.value) and found.p == wanted.p
        assert found.interval == pytest.approx(wanted.interval)
        assert found.interval != pytest.approx(paired_bootstrap(given[..., kept]).interval)

    check(differences, [*range(len(scenes))])
    check(differences[0, :7], [*range(7)])
    differences[1, 3] = np.nan  # nothing moves in this scene
    check(differences, [i for i in range(len(scenes)) if i != 3])


def test_estimates_over_training_crops_resample_their_photographs(tmp_path):
    lesson = open_lesson("04", results=tmp_path, device="cpu")
    crops = TrainingCrops(Experiment(size="small", scenes=6, scene_size=64, patch=32, steps=10))
    differences = np.random.default_rng(0).normal(1, 0.1, (2, 12))
    names = [crops.photograph(i) for i in range(12)]
    assert lesson.estimate(differences, crops) == paired_bootstrap(differences, names)
    assert lesson.estimate(differences, crops) != paired_bootstrap(differences)


def test_test_scenes_show_photographs_that_no_preset_trains_on(tmp_path):
    lesson = open_lesson("09", results=tmp_path, device="cpu")
    scenes = lesson.test_scenes()
    trained_on = {path for name in (None, "wide") for path in list_photographs("train", name)}
    assert not trained_on & set(scenes.paths) and len(scenes.paths) == 12


def test_a_shipped_network_is_compared_with_its_own_start(tmp_path):
    lesson = open_lesson("09", results=tmp_path, device="cpu")
    network, start = lesson.trained("aspdc"), lesson.untrained("aspdc")
    again = lesson.untrained("aspdc").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in start.state_dict().items())
    tests = [lesson.test_scenes()[0]]
    found = lesson.learned(network, start, tests)
    assert set(found) == {"gain", "offsets", "attention"} and min(found.values()) > 0
    nothing = lesson.learned(start, start, tests)
    assert nothing["offsets"] == nothing["attention"] == 0 and nothing["gain"] < found["gain"]
