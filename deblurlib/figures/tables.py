"""Tables as pictures: differences with their intervals, ours beside theirs."""

import matplotlib.pyplot as plt
import numpy as np

from .style import COLOURS


def differences(rows, estimates, intervals, printed, against: str, width: float = 8.5):
    """Each row's difference to the row `against` with its interval, and the printed difference as a hollow diamond.

    rows: names from top to bottom; estimates, printed: dB, NaN where there is none; intervals: (low, high) a row.
    """
    estimates, printed, places = np.asarray(estimates, float), np.asarray(printed, float), np.arange(len(rows))
    low, high = np.asarray(intervals, float).T
    figure, axis = plt.subplots(figsize=(width, 0.36 * len(rows) + 1.3))
    axis.axvline(0, color="0.4", linewidth=1)
    error = np.abs([estimates - low, high - estimates])
    axis.errorbar(estimates, places, xerr=error, fmt="o", color=COLOURS["blue"], capsize=3, label="measured here, 95 % interval")
    axis.plot(printed, places, "D", color=COLOURS["vermilion"], markerfacecolor="none", markersize=7, label="printed, on GoPro")
    axis.set_yticks(places, rows)
    axis.invert_yaxis()
    axis.set(xlabel=f"PSNR minus that of {against}, in dB")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
