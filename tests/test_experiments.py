from dataclasses import asdict

from deblurlib.experiments import SVDN_TABLE_2, svdn_table2
from deblurlib.models import list_variants
from deblurlib.presets import PRESETS
from deblurlib.training import Experiment


def test_rows_differ_in_what_they_claim_to_differ_in():
    rows = {row.variant: asdict(row) for row in svdn_table2("smoke")}
    assert set(rows) == set(SVDN_TABLE_2) <= set(list_variants("svdn"))
    for variant, row in rows.items():
        changed = {key for key in row if row[key] != rows["fd"][key]}
        assert changed == {"fd": set(), "fd_og": {"variant", "position"}}.get(variant, {"variant"})


def test_every_preset_gives_all_rows_for_all_its_seeds():
    for preset in PRESETS.values():
        rows = svdn_table2(preset, seed=3)
        assert len({row.hash for row in rows}) == len(rows) == preset.seeds * len(SVDN_TABLE_2)
        assert {row.seed for row in rows} == set(range(3, 3 + preset.seeds))
        assert {(row.steps, row.size) for row in rows} == {(preset.train_steps, preset.size)}


def test_a_new_row_is_one_entry(monkeypatch):
    monkeypatch.setitem(SVDN_TABLE_2, "fd_wide_margin", {"variant": "fd_og", "position": 1e-4, "margin": 2.0})
    assert Experiment(variant="fd_og", margin=2.0, position=1e-4).margin == svdn_table2("smoke")[-1].margin == 2.0
