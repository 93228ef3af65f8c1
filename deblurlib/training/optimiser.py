"""Adam as the papers configure it, its learning-rate schedules, and averaged weights."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .experiment import Experiment


def learning_rate(step: int, experiment: Experiment) -> float:
    """Compute the learning rate of one step.

    The polynomial decay is lr(s) = (lr - lr_end) (1 - s/S)^power + lr_end (SVDN section 4.2);
    with `halve_every` it is lr / 2^floor(s / halve_every) (ASPDC section 4.2). Differs from the
    paper: SVDN decays per epoch, here the rate changes every step. A decay that starts late
    (`decay_from`, after Hu et al., MiniCPM, 2024) and a warm-up are ours: the first `warmup` rates
    are multiplied by (s + 1) / warmup.

    Args:
        step: Step s, counted from 0.
        experiment: Provides lr, lr_end, lr_power, warmup, decay_from, halve_every and the number of
            steps S.

    Returns:
        The learning rate of weights; `bias_lr` scales that of biases.
    """
    warm = min(1.0, (step + 1) / experiment.warmup) if experiment.warmup else 1.0
    if experiment.halve_every is not None:
        return float(warm * experiment.lr / 2 ** (step // experiment.halve_every))
    left = min(1.0, (1 - step / experiment.steps) / (1 - experiment.decay_from))
    decayed = (experiment.lr - experiment.lr_end) * left**experiment.lr_power + experiment.lr_end
    return float(warm * decayed)


def adam(model: nn.Module, experiment: Experiment) -> torch.optim.Adam:
    """Create the optimiser of a training.

    Args:
        model: The network to train.
        experiment: Provides lr, betas, eps, weight_decay and bias_lr.

    Returns:
        Adam with one group of parameters, or with a second one for the biases if `bias_lr` is not
        1. The entry "factor" of a group is the factor on its learning rate.
    """
    biases: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        own_rate = experiment.bias_lr != 1 and name.endswith("bias")
        (biases if own_rate else others).append(parameter)
    groups = [{"params": others, "factor": 1.0}, {"params": biases, "factor": experiment.bias_lr}]
    return torch.optim.Adam(
        [group for group in groups if group["params"]],
        lr=experiment.lr,
        betas=experiment.betas,
        eps=experiment.eps,
        weight_decay=experiment.weight_decay,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group of an optimiser that `adam` made.

    Args:
        optimizer: The optimiser.
        rate: The learning rate of weights; each group multiplies it by its factor.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Start an exponential moving average of the weights of a network.

    Args:
        model: The network; the average starts from its current weights.
        decay: Weight of the previous average in each update.

    Returns:
        A copy of the network; call its `update_parameters` after each step.
    """
    update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch lacks the type
    average = AveragedModel(model, multi_avg_fn=update)
    average.update_parameters(model)  # the first update copies
    return average
