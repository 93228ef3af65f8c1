"""Trainings of these tests keep their decoded pairs in a temporary folder."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache") / "pairs"
    monkeypatch.setattr("deblurlib.training.crops.pairs_folder", lambda: folder)
    return folder
