"""Training: an Experiment describes a training, `fit` carries it out.

Runs can be interrupted at any step and are cached by the hash of their experiment.
"""

from .crops import TrainingCrops
from .experiment import Experiment
from .initial import initial_model
from .loop import fit
from .objective import LossTerms
from .optimiser import learning_rate
from .runs import SHIPPED_RUNS, Run, shipped_log

__all__ = [
    "SHIPPED_RUNS",
    "Experiment",
    "LossTerms",
    "Run",
    "TrainingCrops",
    "fit",
    "initial_model",
    "learning_rate",
    "shipped_log",
]
