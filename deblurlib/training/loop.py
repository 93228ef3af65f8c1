"""The training loop: `fit` carries out what an Experiment describes.

Initial weights depend on the seed alone, and training item i on (seed, i). The state of a run is
therefore weights, optimiser and step: a resumed run ends with the same weights as an uninterrupted
one, and several processes each process their share of the same global batches.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..progress import Bar, progress_bar
from ..results import results_folder
from .checkpoints import read_checkpoint, write_checkpoint
from .experiment import Experiment
from .initial import initial_model
from .interrupts import Signals
from .locks import run_lock
from .logs import append_to_log, cut_log, log_digest
from .objective import LossTerms
from .optimiser import adam, averaged, learning_rate, set_learning_rate
from .processes import batches_of, fabric_for
from .runs import (
    SHIPPED_RUNS,
    Run,
    check_folder,
    clear,
    completed_run,
    finish,
    finished_run,
    is_finished,
    write_record,
)
from .validation import validation_psnr

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOG_EVERY = 20  # steps


def fit(  # noqa: PLR0913 - the options of a training, not of its result
    experiment: Experiment,
    resume: bool = True,
    *,
    device: str | torch.device = "auto",
    folder: str | Path | None = None,
    workers: int = 0,
    checkpoint_every: int = 200,
    checkpoint_seconds: float = 300,
    validate_every: int | None = None,
    progress: bool | None = None,
    wait: bool = True,
) -> Run:
    """Train a network; an interrupted run resumes, a finished one is loaded.

    The experiments named by `start` and `reblur` are trained first. Under `torchrun`, the
    processes share each batch.

    SIGINT (Ctrl-C), SIGTERM and SIGHUP end the training after the current step, with a checkpoint;
    a second signal ends it at once, and the last checkpoint stays. If another process trains the
    same run, this one says so, waits, and loads the finished run.

    Args:
        experiment: The training.
        resume: Load or resume an existing run; False deletes it and starts over.
        device: "auto", or a device such as "cpu", "cuda" or "cuda:1".
        folder: Folder of all runs, by default results/runs. Each run has a subfolder named by its
            hash with experiment.json, log.jsonl and model.safetensors or, while unfinished,
            checkpoint.pt. Finished runs that ship with the library are found as well.
        workers: Number of processes that render scenes.
        checkpoint_every: Steps between checkpoints.
        checkpoint_seconds: Seconds after which a checkpoint is written even before that.
        validate_every: Steps between measurements, for the log, on eight scenes of the validation
            photographs; None for no measurements.
        progress: Whether to show a progress bar; None shows it in a terminal, and lines elsewhere.
        wait: Whether to wait while another process trains the same run.

    Returns:
        The network with its log.

    Raises:
        ValueError: If the batch cannot be split evenly, or a number of steps is below 1.
        FloatingPointError: If ten losses in a row are not finite; the last good checkpoint stays.
        BlockingIOError: If another process trains the same run and `wait` is False.
        KeyboardInterrupt: If a signal ended the training; the message says how to resume it.
    """
    for name, every in (("checkpoint_every", checkpoint_every), ("validate_every", validate_every)):
        if every is not None and every < 1:
            raise ValueError(f"{name} is {every}: give a number of steps of at least 1.")
    if not checkpoint_seconds > 0:
        raise ValueError(
            f"checkpoint_seconds is {checkpoint_seconds}: give a positive number of seconds."
        )
    runs = results_folder() / "runs" if folder is None else Path(folder)
    home = runs / experiment.hash
    check_folder(home)
    if resume and is_finished(home):
        return completed_run(experiment, home)
    if resume and is_finished(shipped := SHIPPED_RUNS / experiment.hash):
        return finished_run(experiment, shipped)

    network = initial_model(experiment)
    start, reblurring = (
        fit(
            run,
            device=device,
            folder=runs,
            workers=workers,
            checkpoint_every=checkpoint_every,
            checkpoint_seconds=checkpoint_seconds,
            progress=progress,
            wait=wait,
        ).model
        if run is not None
        else None
        for run in (experiment.start, experiment.reblur)
    )
    if start is not None:
        network.load_state_dict(start.state_dict())
    fabric = fabric_for(device, experiment)
    with run_lock(home, lambda sentence: print(sentence, file=sys.stderr), wait):
        if not resume:
            clear(home)
        elif is_finished(home):  # by the process that held the lock
            return completed_run(experiment, home)
        trainer = Trainer(experiment, home, fabric, network, reblurring, workers)
        trainer.run(
            checkpoint_every=checkpoint_every,
            checkpoint_seconds=checkpoint_seconds,
            validate_every=validate_every,
            progress=progress,
        )
    return replace(finished_run(experiment, home), cached=False)


class WorkersLost(Exception):
    """A signal has ended the processes that render scenes."""


class Trainer:
    """A training in progress: network, optimiser, batches, and the number of finished steps.

    Args:
        experiment: The training.
        folder: The folder of the run; a checkpoint in it is resumed.
        fabric: Device, precision and processes.
        network: The network with its initial weights.
        reblurring: The trained reblurring network, if the experiment names one.
        workers: Number of processes that render scenes.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        fabric: "Fabric",
        network: nn.Module,
        reblurring: nn.Module | None,
        workers: int,
    ) -> None:
        self.experiment, self.folder, self.fabric = experiment, folder, fabric
        network = network.train().to(memory_format=torch.channels_last)
        self.model, self.optimizer = fabric.setup(network, adam(network, experiment))
        self.average = averaged(self.model.module, experiment.ema) if experiment.ema else None
        self.loss_terms = LossTerms(experiment, reblurring).to(fabric.device)
        self.done = self.failures = 0
        self.seconds_before = self.cpu_seconds_before = 0.0
        self.restore()
        self.workers, self.signals = workers, Signals()
        self.batches = batches_of(experiment, self.done, workers, fabric)
        if fabric.is_global_zero:  # only now are all settings known to be valid
            write_record(folder, experiment)
        self.began, self.cpu_began = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Training time so far, including that before interruptions."""
        return self.seconds_before + time.perf_counter() - self.began

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process so far, over all its threads, as `seconds`."""
        return self.cpu_seconds_before + time.process_time() - self.cpu_began

    def run(
        self,
        *,
        checkpoint_every: int,
        checkpoint_seconds: float,
        validate_every: int | None,
        progress: bool | None,
    ) -> None:
        """Take the remaining steps and write the finished run.

        Args:
            checkpoint_every: Steps between checkpoints.
            checkpoint_seconds: Seconds between checkpoints, if that is less.
            validate_every: Steps between validations; None does not validate.
            progress: Whether to show a progress bar; None shows it in a terminal, and lines
                elsewhere.

        Raises:
            KeyboardInterrupt: If a signal came; the checkpoint is written.
        """
        steps, title = self.experiment.steps, _title(self.experiment)
        shown = progress if self.fabric.is_global_zero else False
        bar: Bar[None] = progress_bar(
            total=steps, initial=self.done, desc=title, unit="step", show=shown
        )
        with bar, self.signals.noted() as signals:
            saved = time.monotonic()
            while self.done < steps:
                try:
                    terms = self.step()
                except WorkersLost:  # no step has begun
                    pass
                else:
                    bar.update()
                    if self._due(LOG_EVERY):
                        self.log(terms, validate=self._due(validate_every))
                interrupted = self._anywhere(signals.number is not None)
                late = time.monotonic() - saved >= checkpoint_seconds
                if interrupted and self.done < steps:
                    self.save()
                    raise signals.exception(
                        f"{title} was interrupted at step {self.done} of {steps}: "
                        "run the same training again to resume it."
                    )
                if (self.done % checkpoint_every == 0 or late) and self.failures == 0:
                    self.save()
                    saved = time.monotonic()
            self.finish()
            if self._anywhere(signals.number is not None):
                raise signals.exception(f"{title} was interrupted after its last step: it is kept.")

    def _anywhere(self, here: bool) -> bool:
        """Whether something is true in any process, so that all make the same decision."""
        if self.fabric.world_size == 1:
            return here
        flag = torch.tensor(float(here), device=self.fabric.device)
        return bool(self.fabric.all_reduce(flag, reduce_op="sum"))

    def step(self) -> dict[str, torch.Tensor]:
        """Take one optimiser step; a loss that is not finite leaves the weights unchanged.

        Returns:
            The mean of the loss and of each of its terms over the batch.

        Raises:
            FloatingPointError: If this is the tenth loss in a row that is not finite.
        """
        set_learning_rate(self.optimizer, learning_rate(self.done, self.experiment))
        self.optimizer.zero_grad(set_to_none=True)
        terms = self._backward()
        if torch.isfinite(terms["loss"]):
            self.failures = 0
            if self.experiment.clip is not None:
                self.fabric.clip_gradients(
                    self.model, self.optimizer, max_norm=self.experiment.clip
                )
            self.optimizer.step()
            if self.average is not None:
                self.average.update_parameters(self.model.module)
        else:
            self.failures += 1
            if self.failures == 10:
                raise FloatingPointError(
                    f"Ten losses in a row up to step {self.done} were not finite: "
                    "lower lr or set clip."
                )
        self.done += 1
        return terms

    def _backward(self) -> dict[str, torch.Tensor]:
        """Accumulate the gradients of a batch, part by part, up to a loss that is not finite."""
        parts = self.experiment.accumulate
        try:
            samples = [next(self.batches) for _ in range(parts)]
        except (RuntimeError, OSError, EOFError) as error:
            if self.workers == 0 or self.signals.number is None:
                raise
            raise WorkersLost from error
        means: dict[str, torch.Tensor] = {}
        for part, sample in enumerate(samples):
            with self.fabric.no_backward_sync(self.model, enabled=part < parts - 1):
                loss, terms = self.loss_terms(self.model, sample)
                terms = {"loss": loss.detach(), **terms}
                for name, value in terms.items():  # so that all processes make the same decision
                    terms[name] = self.fabric.all_reduce(value, reduce_op="mean")
                if not torch.isfinite(terms["loss"]):
                    return terms
                self.fabric.backward(loss / parts)
            for name, value in terms.items():
                means[name] = means.get(name, 0) + value / parts
        return means

    def validate(self) -> float:
        """Measure the network that the run would return now.

        Returns:
            Its mean PSNR in dB on eight rendered scenes of the validation photographs.
        """
        return validation_psnr(self.experiment, self.final_network())

    def final_network(self) -> nn.Module:
        """Return the network that the run would end with if it stopped now.

        Returns:
            The network in training or, with `ema`, the averaged weights with the batch statistics
            of the network in training.
        """
        network: nn.Module = self.model.module
        if self.average is None:
            return network
        for kept, current in zip(self.average.module.buffers(), network.buffers(), strict=True):
            kept.copy_(current)
        return self.average.module

    def log(self, terms: dict[str, torch.Tensor], validate: bool) -> None:
        """Add a line to the log.

        Args:
            terms: The loss terms of the last step.
            validate: Whether to measure validation scenes as well.
        """
        row = {"step": self.done, "lr": learning_rate(self.done - 1, self.experiment)}
        row |= {name: value.item() for name, value in terms.items()}
        if validate:
            row["validation"] = self.validate()
            row["validation_blurry"] = validation_psnr(self.experiment)
        if self.fabric.is_global_zero:
            append_to_log(self.folder, row)

    def save(self) -> None:
        """Write a checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and self.average.state_dict(),
            "step": self.done,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "hash": self.experiment.hash,
            "log": log_digest(self.folder),
        }
        if self.fabric.is_global_zero:
            write_checkpoint(self.folder, state)

    def restore(self) -> None:
        """Load the checkpoint, if there is one, and cut the log back to its step."""
        state = read_checkpoint(self.folder, self.experiment)
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.done, self.seconds_before = state["step"], state["seconds"]
            self.cpu_seconds_before = state.get("cpu_seconds", 0.0)
        if self.fabric.is_global_zero:
            cut_log(self.folder, self.done, None if state is None else state.get("log"))

    def finish(self) -> None:
        """Write the finished run and wait until all processes can read it."""
        if self.fabric.is_global_zero:
            network = self.final_network()
            finish(
                self.folder,
                self.experiment,
                network,
                seconds=round(self.seconds, 1),
                cpu_seconds=round(self.cpu_seconds, 1),
                device=str(self.fabric.device),
            )
        self.fabric.barrier()

    def _due(self, every: int | None) -> bool:
        last = self.done == self.experiment.steps
        return every is not None and (self.done % every == 0 or last)


def _title(experiment: Experiment) -> str:
    return f"{experiment.model} {experiment.variant} {experiment.size} seed {experiment.seed}"
