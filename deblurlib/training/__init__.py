"""Training: an Experiment says what, `fit` does it; resumable at any step, and cached by the hash of the experiment."""

from .crops import TrainingCrops
from .experiment import Experiment
from .loop import fit, initial_model, learning_rate
from .objective import LossTerms
from .runs import SHIPPED_RUNS, Run

__all__ = [
    "SHIPPED_RUNS",
    "Experiment",
    "LossTerms",
    "Run",
    "TrainingCrops",
    "fit",
    "initial_model",
    "learning_rate",
]
