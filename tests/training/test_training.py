import json
import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from deblurlib.data import collate
from deblurlib.models import save_model
from deblurlib.training import (
    Experiment,
    LossTerms,
    TrainingCrops,
    fit,
    initial_model,
    loop,
)
from deblurlib.training.optimiser import adam

ROOT = Path(__file__).resolve().parents[2]
TINY = Experiment(
    variant="dilated", size="small", scenes=2, scene_size=48, steps=12, batch=2, patch=32
)
REBLUR = replace(TINY, model="reblur", variant="paper")


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return fit(TINY, folder=tmp_path_factory.mktemp("straight"), progress=False, device="cpu")


def test_training_lowers_the_loss_and_keeps_a_log(tmp_path):
    run = fit(
        replace(TINY, steps=80, scenes=1, lr=2e-3), folder=tmp_path, progress=False, device="cpu"
    )
    before = fit(
        replace(TINY, steps=1, scenes=1, lr=0.0), folder=tmp_path, progress=False, device="cpu"
    )
    assert list(run.log.step) == [20, 40, 60, 80]
    assert run.log.pixel.iloc[-1] < before.log.pixel.iloc[-1]
    assert run.log.psnr.iloc[-1] == pytest.approx(
        -10 * torch.log10(2 * torch.tensor(run.log.pixel.iloc[-1])).item(), abs=1e-4
    )


def test_two_runs_are_equal_to_the_bit(straight, tmp_path):
    again = fit(TINY, folder=tmp_path, progress=False, device="cpu")
    assert torch.equal(weights(straight), weights(again))
    assert (straight.folder / "log.jsonl").read_bytes() == (again.folder / "log.jsonl").read_bytes()


def test_a_finished_run_is_reused(straight):
    again = fit(TINY, folder=straight.folder.parent, progress=False)
    assert again.cached and not straight.cached and torch.equal(weights(straight), weights(again))
    assert not (straight.folder / "checkpoint.pt").exists()
    assert json.loads((straight.folder / "experiment.json").read_text())["hash"] == TINY.hash


KILLED = """
import os, signal, sys
from dataclasses import replace
import torch
from deblurlib import training
from deblurlib.training import loop
from tests.training.test_training import TINY
torch.set_num_threads({threads})
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
real, calls = training.learning_rate, []
def decay(step, experiment):
    if step == 7:
        os.kill(os.getpid(), {signal})
    return real(step, experiment)
loop.learning_rate = decay
training.fit(TINY, folder=sys.argv[1], progress=False, device="cpu", checkpoint_every=3)
"""


def run_script(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )


# signal -> exit code of a plain script, and the step of the checkpoint
ENDINGS = {"SIGKILL": (-9, 6), "SIGINT": (-2, 8), "SIGTERM": (1, 8)}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_interrupted_run_ends_with_the_same_weights(straight, tmp_path, name):
    code, step = ENDINGS[name]
    script = KILLED.format(threads=torch.get_num_threads(), signal=int(getattr(signal, name)))
    ended = run_script(script, tmp_path)
    assert ended.returncode == code, ended.stderr
    if name != "SIGKILL":
        sentence = "svdn dilated small seed 0 was interrupted at step 8 of 12: run the same"
        assert sentence in ended.stderr.splitlines()[-1]
    checkpoint = torch.load(tmp_path / TINY.hash / "checkpoint.pt", weights_only=True)
    assert checkpoint["step"] == step
    resumed = fit(TINY, folder=tmp_path, progress=False, device="cpu")
    assert not resumed.cached and torch.equal(weights(straight), weights(resumed))
    assert (straight.folder / "log.jsonl").read_bytes() == (
        resumed.folder / "log.jsonl"
    ).read_bytes()


def test_an_interrupt_during_an_update_resumes_to_the_same_weights(straight, tmp_path, monkeypatch):
    def interrupted(network, experiment):
        optimizer = adam(network, experiment)
        step, calls = optimizer.step, iter(range(experiment.steps))

        def update(*args, **kwargs):
            if next(calls) == 2:
                next(network.parameters()).data.add_(1)  # the update of one tensor of many
                raise KeyboardInterrupt
            return step(*args, **kwargs)

        optimizer.step = update
        return optimizer

    with monkeypatch.context() as patched:
        patched.setattr(loop, "adam", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(TINY, folder=tmp_path, progress=False, device="cpu", checkpoint_every=1)
    assert (tmp_path / TINY.hash / "checkpoint.pt").is_file()
    resumed = fit(TINY, folder=tmp_path, progress=False, device="cpu")
    assert torch.equal(weights(straight), weights(resumed))


def test_every_field_changes_the_hash(tmp_path):
    for name in ("one", "other"):
        for split in ("train", "test"):
            for kind in ("blur", "blur_gamma", "sharp"):
                picture = tmp_path / name / split / "A" / kind / "1.png"
                picture.parent.mkdir(parents=True)
                picture.write_bytes(name.encode())
    (tmp_path / "weights.pth").write_bytes(b"weights")
    base = replace(
        TINY,
        model="svrnn",
        variant="paper",
        real=str(tmp_path / "one"),
        real_variant="blur",
        reblur=REBLUR,
        clip=1.0,
    )
    other = {
        "model": "radn",
        "variant": "no_rnns",
        "size": "full",
        "options": (("blocks", 1),),
        "start": base,
        "start_weights": str(tmp_path / "weights.pth"),
        "pretrained": True,
        "blur": "blur_gamma",
        "camera": "real",
        "decay_from": 0.5,
        "photos": str(tmp_path / "other"),
        "real": str(tmp_path / "other"),
        "real_split": "test",
        "real_variant": "blur_gamma",
        "real_frames": 1,
        "real_share": 0.5,
        "halve_every": 1,
        "betas": (0.9, 0.99),
        "ema": 0.5,
        "precision": "bf16-mixed",
        "reblur": replace(REBLUR, seed=1),
    }
    hashes = {base.hash}
    for field in fields(Experiment):
        value = other[field.name] if field.name in other else getattr(base, field.name) + 1
        hashes.add(replace(base, **{field.name: value}).hash)
    assert len(hashes) == len(fields(Experiment)) + 1


def test_the_hash_of_a_folder_does_not_depend_on_where_it_lies(tmp_path):
    hashes = set()
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "p.png").write_bytes(b"same")
        hashes.add(replace(TINY, photos=str(tmp_path / place)).hash)
    assert len(hashes) == 1


def test_crops_depend_on_seed_and_index_alone():
    crops, again = TrainingCrops(TINY), TrainingCrops(TINY)
    ahead = [again[i] for i in (5, 0)]
    for sample, index in zip(ahead, (5, 0), strict=True):
        assert torch.equal(crops[index].blurry, sample.blurry) and torch.equal(
            crops[index].flow_next, sample.flow_next
        )
    assert not torch.equal(crops[1].blurry, crops[2].blurry)
    assert not torch.equal(TrainingCrops(replace(TINY, seed=1))[0].blurry, crops[0].blurry)


def test_loss_terms_are_weighted_as_in_equation_7():
    chosen = replace(TINY, variant="fd_og", position=0.5, margin=0.7)
    batch = collate([TrainingCrops(chosen)[i] for i in range(2)])
    model = initial_model(chosen)
    total, terms = LossTerms(chosen)(model, batch)
    assert set(terms) == {"pixel", "position"} and terms["position"] > 0.7
    assert total.item() == pytest.approx(
        (terms["pixel"] + 0.5 * terms["position"]).item(), rel=1e-5
    )
    still = replace(batch, flow_previous=batch.flow_previous * 0, flow_next=batch.flow_next * 0)
    assert (
        LossTerms(chosen)(model, still)[1]["position"] > terms["position"]
    )  # with no motion the whole grid is off


def test_guidance_pulls_the_points_onto_the_flow():
    plain = replace(TINY, variant="fd_og", steps=60, lr=3e-3, scenes=1, batch=1)
    batch = collate([TrainingCrops(plain)[0]])
    distances = {}
    for weight in (0.0, 1e-2):
        chosen, model = replace(plain, position=weight), initial_model(plain)
        terms, optimizer = (
            LossTerms(replace(chosen, position=weight or 1e-12)),
            torch.optim.Adam(model.parameters(), 3e-3),
        )
        for _ in range(25):
            optimizer.zero_grad()
            loss, values = terms(model, batch)
            loss.backward()
            optimizer.step()
        distances[weight] = values["position"]
    assert distances[1e-2] < distances[0.0] - 0.05


def test_averaged_weights_lag_behind_and_survive_a_kill(straight, tmp_path):
    averaged = replace(TINY, ema=0.9)
    run = fit(averaged, folder=tmp_path, progress=False, device="cpu")
    begin = torch.cat([p.detach().flatten() for p in initial_model(TINY).parameters()])
    moved = (weights(straight) - begin).norm()
    assert 0.2 * moved < (weights(run) - begin).norm() < 0.9 * moved
    script = KILLED.replace("training.fit(TINY", "training.fit(replace(TINY, ema=0.9)")
    killed = tmp_path / "killed"
    script = script.format(threads=torch.get_num_threads(), signal=int(signal.SIGKILL))
    assert run_script(script, killed).returncode == -signal.SIGKILL
    assert torch.equal(
        weights(fit(averaged, folder=killed, progress=False, device="cpu")), weights(run)
    )


def test_the_validation_curve_is_in_the_log_and_changes_nothing(straight, tmp_path):
    run = fit(
        replace(TINY, ema=0.0), folder=tmp_path, progress=False, device="cpu", validate_every=12
    )
    assert run.log.validation.notna().tolist() == [True] and 5 < run.log.validation.iloc[0] < 50
    assert torch.equal(weights(run), weights(straight))


def test_a_reblurring_network_learns_the_blurry_picture(tmp_path):
    batch = collate([TrainingCrops(REBLUR)[i] for i in range(2)])
    network = initial_model(REBLUR)
    total, terms = LossTerms(REBLUR)(network, batch)
    wanted = (network(batch.blurry, batch.sharp) - batch.blurry).square().mean() / 2
    assert total.item() == pytest.approx(wanted.item()) and set(terms) == {"pixel"}
    assert (
        fit(replace(REBLUR, steps=2), folder=tmp_path, progress=False, device="cpu").model.recipe[
            "name"
        ]
        == "reblur"
    )


def test_fine_tuning_starts_from_one_run_and_blurs_again_with_another(tmp_path):
    tuned = replace(
        TINY,
        start=replace(TINY, steps=3),
        reblur=replace(REBLUR, steps=2),
        consistency=0.1,
        steps=1,
        lr=0.0,
        lr_end=0.0,
    )
    run = fit(tuned, folder=tmp_path, progress=False, device="cpu")
    assert torch.equal(
        weights(run), weights(fit(tuned.start, folder=tmp_path, progress=False))
    )  # a rate of 0 moves nothing
    assert {"pixel", "consistency"} <= set(run.log.columns) and run.log.loss.iloc[
        0
    ] > run.log.pixel.iloc[0]
    network = initial_model(tuned.reblur)
    batch = collate([TrainingCrops(tuned)[0]])
    model = initial_model(tuned)
    LossTerms(replace(tuned, consistency=1.0), network)(model, batch)[0].backward()
    assert all(p.grad is None for p in network.parameters()) and all(
        p.grad is not None for p in model.parameters()
    )


def test_a_training_starts_from_a_file_of_weights(straight, tmp_path):
    path = save_model(straight.model, tmp_path / "mine.safetensors", {})
    later = replace(TINY, start_weights=str(path))
    assert torch.equal(weights(replace(straight, model=initial_model(later))), weights(straight))
    before = later.hash
    save_model(initial_model(TINY), path, {})
    assert before != later.hash != TINY.hash
    with pytest.raises(ValueError, match=r"'fd_og'.*give weights of the same network"):
        initial_model(replace(later, variant="fd_og"))
    with pytest.raises(FileNotFoundError, match="There is no weights file"):
        fit(replace(later, start_weights="nowhere.pth"), folder=tmp_path)
    with pytest.raises(ValueError, match="leave out start"):
        replace(later, start=TINY)


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(99)
    first = initial_model(TINY)
    torch.manual_seed(7)
    second, third = initial_model(TINY), initial_model(replace(TINY, seed=1))
    assert torch.equal(first.fuse[0].weight, second.fuse[0].weight)
    assert not torch.equal(first.fuse[0].weight, third.fuse[0].weight)


def test_a_batch_is_split_evenly(tmp_path):
    with pytest.raises(ValueError, match="A batch of 2 cannot be split over 1 process and 3 parts"):
        fit(replace(TINY, accumulate=3), folder=tmp_path, progress=False, device="cpu")


def test_ten_losses_that_are_not_finite_stop_the_run_and_keep_the_checkpoint(tmp_path, monkeypatch):
    calls, real = [], LossTerms.forward

    def sometimes_nan(self, model, batch):
        loss, terms = real(self, model, batch)
        calls.append(1)
        return (loss * float("nan") if len(calls) > 4 else loss), terms

    monkeypatch.setattr(LossTerms, "forward", sometimes_nan)
    long = replace(TINY, steps=40)
    with pytest.raises(FloatingPointError, match="Ten losses in a row"):
        fit(long, folder=tmp_path, progress=False, device="cpu", checkpoint_every=2)
    assert len(calls) == 14
    checkpoint = torch.load(tmp_path / long.hash / "checkpoint.pt", weights_only=True)
    assert checkpoint["step"] == 4 and all(
        torch.isfinite(v).all() for v in checkpoint["model"].values()
    )


def test_two_processes_train_on_the_same_global_batches(tmp_path):
    """Under torchrun with two gloo processes, the weights agree up to rounding."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nfrom deblurlib.training import fit\n"
        "from tests.training.test_training import TINY\n"
        "fit(TINY, folder=sys.argv[1], progress=False, device='cpu')\n"
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(script),
        str(tmp_path / "runs"),
    ]
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    together = fit(TINY, folder=tmp_path / "runs", progress=False)
    alone = fit(TINY, folder=tmp_path / "alone", progress=False, device="cpu")
    assert together.cached and torch.allclose(weights(together), weights(alone), atol=2e-3)
    assert together.log.loss.tolist() == pytest.approx(alone.log.loss.tolist(), rel=1e-4)
    assert not torch.equal(
        weights(together), torch.cat([p.flatten() for p in initial_model(TINY).parameters()])
    )
