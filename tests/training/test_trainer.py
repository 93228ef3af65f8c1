"""One step of a training, its measurements and its files, against what they are by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from deblurlib.data import SceneDataset, collate
from deblurlib.evaluation import predict, psnr
from deblurlib.training import Experiment, LossTerms, TrainingCrops, fit, initial_model, logs
from deblurlib.training.loop import Trainer
from deblurlib.training.processes import fabric_for

TINY = Experiment(
    variant="dilated", size="small", scenes=2, scene_size=48, steps=12, batch=2, patch=32
)


def trainer(experiment, folder):
    fabric = fabric_for("cpu", experiment)
    return Trainer(experiment, folder, fabric, initial_model(experiment), None, workers=0)


def parameters(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2},
        {"clip": 1e-3},
        {"weight_decay": 0.1},
        {"bias_lr": 3.0},
        {"lr_end": 0.9},
        {"accumulate": 2, "clip": 1e-3, "bias_lr": 3.0},
    ],
    ids=str,
)
def test_a_step_is_that_of_adam_by_hand(changes, tmp_path):
    """With a large eps the step is linear in the gradient, so that wrong factors on it show."""
    chosen = replace(TINY, lr=0.5, eps=1.0, **changes)
    model = initial_model(chosen).train()
    loss, _ = LossTerms(chosen)(model, collate([TrainingCrops(chosen)[i] for i in range(2)]))
    loss.backward()
    if chosen.clip:
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), chosen.clip)
        assert norm > 2 * chosen.clip
    wanted = {}
    for name, value in model.named_parameters():
        gradient = value.grad + chosen.weight_decay * value
        rate = chosen.lr * (chosen.bias_lr if name.endswith("bias") else 1)
        wanted[name] = -rate * gradient / (gradient.abs() + chosen.eps)
    before = parameters(initial_model(chosen))
    made = trainer(chosen, tmp_path)
    terms = made.step()
    assert terms["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    for name, value in parameters(made.model.module).items():
        moved = value - before[name]
        largest = wanted[name].abs().max().item()
        assert torch.allclose(moved, wanted[name], rtol=1e-2, atol=1e-2 * largest + 1e-7), name


def test_the_second_step_has_the_second_rate_and_the_next_crops(tmp_path):
    chosen = replace(TINY, steps=2, lr=1.0, lr_end=0.0, lr_power=1.0)
    made = trainer(chosen, tmp_path)
    made.step()
    batch = collate([TrainingCrops(chosen)[i] for i in (2, 3)])
    wanted = LossTerms(chosen)(made.model.module, batch)[0].item()
    assert made.step()["loss"].item() == pytest.approx(wanted, rel=1e-4)
    assert made.optimizer.param_groups[0]["lr"] == 0.5 and made.done == 2


def test_a_flow_counts_by_its_share_of_the_exposure():
    chosen = replace(TINY, variant="fd_og", position=0.5, margin=0.0, exposure_scale=0.25)
    batch = collate([TrainingCrops(chosen)[i] for i in range(2)])
    model = initial_model(chosen)
    quarter = replace(batch, flow_previous=batch.flow_previous / 4, flow_next=batch.flow_next / 4)
    by_hand = LossTerms(replace(chosen, exposure_scale=1.0))(model, quarter)[1]["position"]
    assert LossTerms(chosen)(model, batch)[1]["position"].item() == pytest.approx(by_hand.item())
    assert LossTerms(replace(chosen, exposure_scale=1.0))(model, batch)[1]["position"] != by_hand


def test_points_within_the_margin_are_free():
    chosen = replace(TINY, variant="fd_og", position=0.5, margin=50.0)
    batch = collate([TrainingCrops(chosen)[0]])
    assert LossTerms(chosen)(initial_model(chosen), batch)[1]["position"] == 50


def test_the_consistency_loss_needs_its_network():
    chosen = replace(TINY, reblur=replace(TINY, model="reblur", variant="paper"), consistency=0.1)
    with pytest.raises(ValueError, match="needs the reblurring network"):
        LossTerms(chosen)


def test_each_loss_term_counts_by_its_own_weight():
    network = initial_model(replace(TINY, model="reblur", variant="paper"))
    chosen = replace(
        TINY,
        variant="fd_og",
        position=0.5,
        consistency=3.0,
        reblur=Experiment(model="reblur", size="small"),
    )
    batch = collate([TrainingCrops(chosen)[0]])
    total, terms = LossTerms(chosen, network)(initial_model(chosen), batch)
    wanted = terms["pixel"] + 0.5 * terms["position"] + 3.0 * terms["consistency"]
    assert total.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_validation_measures_the_averaged_weights_on_held_out_scenes(tmp_path):
    chosen = replace(TINY, ema=0.5, severity=0.5, blur="blur_gamma", seed=3)
    made = trainer(chosen, tmp_path)
    made.step()
    with torch.no_grad():
        for parameter in made.model.parameters():  # the weights in training are no longer any good
            parameter.normal_()
    scenes = SceneDataset("validation", 8, 128, seed=0, variant="blur_gamma", severity=0.5)
    average = made.average.module
    wanted = [psnr(predict(average, scene.blurry), scene.sharp) for scene in list_of(scenes)]
    assert made.validate() == pytest.approx(np.mean(wanted), abs=0.01)
    assert psnr(predict(made.model.module, scenes[0].blurry), scenes[0].sharp) < wanted[0] - 3


def list_of(scenes):
    return [scenes[i] for i in range(len(scenes))]


def test_a_run_ends_with_averaged_weights_and_the_batch_statistics_of_its_last_step(tmp_path):
    chosen = replace(TINY, model="radn", variant="final", ema=0.5)
    made = trainer(chosen, tmp_path)
    start = parameters(made.model.module)
    for _ in range(2):
        made.step()
    final, current = made.final_network(), made.model.module
    statistics = dict(current.named_buffers())
    assert statistics and all(
        torch.equal(value, statistics[name]) for name, value in final.named_buffers()
    )
    moved = {name: (value - start[name]).norm() for name, value in parameters(current).items()}
    name = max(moved, key=moved.get)
    assert 0 < (parameters(final)[name] - start[name]).norm() < moved[name]
    plain = trainer(replace(chosen, ema=0.0), tmp_path / "plain")
    assert plain.final_network() is plain.model.module


def test_the_log_has_a_line_every_twenty_steps_and_validates_when_asked(tmp_path):
    chosen = replace(TINY, steps=45, scenes=1, batch=1, lr=1e-3, lr_end=1e-4, lr_power=1.0)
    run = fit(chosen, folder=tmp_path, progress=False, device="cpu", validate_every=40)
    assert list(run.log.step) == [20, 40, 45]
    assert run.log.validation.notna().tolist() == [False, True, True]
    assert run.log.lr.tolist() == pytest.approx([1e-3 - 9e-4 * s / 45 for s in (19, 39, 44)])
    with pytest.raises(ValueError, match="validate_every is 0: give a number of steps"):
        fit(chosen, folder=tmp_path, validate_every=0)


def test_resume_false_trains_again_in_an_empty_folder(tmp_path):
    chosen = replace(TINY, steps=1)
    first = fit(chosen, folder=tmp_path, progress=False, device="cpu")
    (first.folder / "checkpoint.pt").write_bytes(b"a leftover")
    again = fit(chosen, resume=False, folder=tmp_path, progress=False, device="cpu")
    assert not again.cached and len(again.log) == 1


def test_a_wrong_network_is_refused_before_the_runs_that_it_starts_from(tmp_path):
    with pytest.raises(ValueError, match="no variant 'x'"):
        fit(replace(TINY, variant="x", start=TINY), folder=tmp_path, progress=False, device="cpu")
    with pytest.raises(ValueError, match="svdn has no ImageNet weights"):
        fit(replace(TINY, pretrained=True, start=TINY), folder=tmp_path, device="cpu")
    assert not list(tmp_path.iterdir())


def test_seconds_of_earlier_sittings_count(tmp_path):
    made = trainer(TINY, tmp_path)
    made.step()
    made.seconds_before += 100
    made.save()
    resumed = trainer(TINY, tmp_path)
    assert resumed.done == 1 and 100 < resumed.seconds < 160
    for name, value in parameters(made.model.module).items():
        assert torch.equal(value, parameters(resumed.model.module)[name])
    wanted, found = made.optimizer.state_dict()["state"], resumed.optimizer.state_dict()["state"]
    assert all(torch.equal(wanted[k]["exp_avg_sq"], found[k]["exp_avg_sq"]) for k in wanted)
    assert made.step()["loss"] == resumed.step()["loss"]


def test_the_log_is_cut_back_to_the_step_of_the_checkpoint(tmp_path):
    for step in (20, 40, 60):
        logs.append_to_log(tmp_path, {"step": step, "loss": 0.5})
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 2')  # a kill in the middle of a line
    logs.cut_log(tmp_path, 40)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [20, 40]
