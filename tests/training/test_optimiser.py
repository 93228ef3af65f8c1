"""Learning rates, Adam and averaged weights, against formulas by hand."""

import pytest
import torch

from deblurlib.training import Experiment, initial_model, learning_rate
from deblurlib.training.optimiser import adam, averaged, set_learning_rate


def test_polynomial_decay_has_the_printed_values():
    schedule = Experiment(steps=2000, lr=1e-3, lr_end=1e-6, lr_power=0.9)
    printed = {
        0: 1e-3,
        500: 7.7212e-4,
        1000: 5.3635e-4,
        1500: 2.8788e-4,
        1900: 6.8397e-5,
        2000: 1e-6,
    }
    for step, rate in printed.items():
        assert learning_rate(step, schedule) == pytest.approx(rate, rel=1e-4)


def test_polynomial_decay_ends_at_lr_end_and_bends_by_its_power():
    schedule = Experiment(steps=100, lr=0.4, lr_end=0.1, lr_power=2.0)
    assert learning_rate(50, schedule) == pytest.approx(0.1 + 0.3 / 4)
    assert learning_rate(100, schedule) == 0.1
    constant = Experiment(steps=100, lr=0.4, lr_end=0.1, lr_power=0.0)
    assert learning_rate(99, constant) == pytest.approx(0.4)


def test_rates_halve_after_every_so_many_steps():
    # ASPDC, stage 1: 1000 epochs of 351 steps
    schedule = Experiment(steps=2_457_000, lr=1e-4, halve_every=351_000)
    assert learning_rate(350_999, schedule) == 1e-4
    assert learning_rate(351_000, schedule) == 5e-5
    assert learning_rate(702_000, schedule) == 2.5e-5
    assert learning_rate(schedule.steps - 1, schedule) == pytest.approx(1.5625e-6)


def test_rates_warm_up_and_stay_before_they_decay():
    schedule = Experiment(
        steps=1000, lr=0.5, lr_end=0.1, lr_power=1.0, warmup=10, decay_from=0.6, halve_every=None
    )
    rates = [learning_rate(step, schedule) for step in (0, 4, 9, 10, 600, 800, 1000)]
    assert rates == pytest.approx([0.05, 0.25, 0.5, 0.5, 0.5, 0.3, 0.1])
    halved = Experiment(steps=100, lr=0.8, warmup=4, halve_every=50)
    assert [learning_rate(s, halved) for s in (0, 3, 50)] == pytest.approx([0.2, 0.8, 0.4])


def test_adam_takes_every_setting_of_the_experiment():
    chosen = Experiment(size="small", lr=0.3, betas=(0.5, 0.7), eps=1e-18, weight_decay=0.2)
    optimizer = adam(initial_model(chosen), chosen)
    assert isinstance(optimizer, torch.optim.Adam) and not optimizer.defaults["amsgrad"]
    assert len(optimizer.param_groups) == 1
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (
        0.3,
        (0.5, 0.7),
        1e-18,
        0.2,
    )
    assert not group["decoupled_weight_decay"]


def test_biases_may_learn_faster():
    chosen = Experiment(variant="fd", size="small", bias_lr=2.0)
    model = initial_model(chosen)
    optimizer = adam(model, chosen)
    weights, biases = optimizer.param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)] for p in biases["params"]} == {n for n in names.values() if "bias" in n}
    assert len(weights["params"]) + len(biases["params"]) == len(names)
    set_learning_rate(optimizer, 0.1)
    assert (weights["lr"], biases["lr"]) == (0.1, 0.2)


def test_the_average_moves_by_one_minus_its_decay():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 1.0)
    average = averaged(layer, 0.9)
    for value, wanted in ((2.0, 0.9 * 1.0 + 0.1 * 2.0), (5.0, 0.9 * 1.1 + 0.1 * 5.0)):
        torch.nn.init.constant_(layer.weight, value)
        average.update_parameters(layer)
        assert average.module.weight.item() == pytest.approx(wanted)
