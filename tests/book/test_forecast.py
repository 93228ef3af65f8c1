"""When a run of the notebooks is expected to end."""

import json
import re

import pandas as pd
import pytest

from deblurlib.book import forecast, names
from deblurlib.book.forecast import Forecast, clock, record


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    path = tmp_path / "durations.csv"
    path.write_text("preset,lesson,seconds\nquick,01,100\nquick,02,300\nquick,12,40\n")
    monkeypatch.setattr(forecast, "DURATIONS", path)
    return path


@pytest.mark.usefixtures("recorded")
def test_before_anything_has_finished_the_recorded_durations_count():
    assert Forecast("quick").left({}, ["01_a", "02_b"], jobs=1) == 400
    assert Forecast("quick").left({}, ["01_a", "02_b"], jobs=2) == 300
    assert Forecast("quick").left({"02_b": 250}, ["01_a"], jobs=2) == 100


@pytest.mark.usefixtures("recorded")
def test_a_slower_machine_is_noticed_after_its_first_lesson():
    found = Forecast("quick")
    found.finished("01_a", 200)
    assert found.left({}, ["02_b"], jobs=1) == 600


@pytest.mark.usefixtures("recorded")
def test_a_reader_begins_after_all_others():
    assert Forecast("quick").left({"02_b": 0}, ["12_claims"], jobs=2) == 340


@pytest.mark.usefixtures("recorded")
def test_another_preset_has_no_forecast_before_its_first_lesson():
    found = Forecast("paper")
    assert found.left({"01_a": 9}, ["02_b"], jobs=1) is None
    found.finished("01_a", 1000)
    assert found.left({}, ["02_b"], jobs=1) == 3000


@pytest.mark.usefixtures("recorded")
def test_a_notebook_without_a_record_counts_as_the_mean():
    assert Forecast("quick").left({}, ["77_mine"], jobs=1) == pytest.approx(440 / 3)


def test_every_lesson_of_the_book_has_a_recorded_duration():
    table = pd.read_csv(forecast.DURATIONS, dtype={"lesson": str})
    assert [name[:2] for name in names.BOOK] == list(table.lesson[table.preset == "quick"])


def test_the_clock_has_a_date_on_another_day():
    assert re.fullmatch(r"\d\d:\d\d|\w{3} \d\d \w{3} \d\d:\d\d", clock(0))
    assert re.fullmatch(r"\w{3} \d\d \w{3} \d\d:\d\d", clock(86400))


def test_durations_are_recorded_from_a_finished_run(recorded, tmp_path):
    entry = {"state": "done", "seconds": 55.4, "key": "", "outputs": {}}
    content = {
        "01_a": {**entry, "inputs": {"preset": "quick"}},
        "02_b": {**entry, "state": "failed", "inputs": {"preset": "quick"}},
        "03_c": {**entry, "inputs": {"preset": "smoke"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"inputs": {}, "notebooks": content}))
    record(tmp_path)
    assert recorded.read_text().splitlines() == [
        "preset,lesson,seconds",
        "quick,01,55",
        "quick,02,300",
        "quick,12,40",
        "smoke,03,55",
    ]
