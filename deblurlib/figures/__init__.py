"""Every plot that the notebooks draw, in one visual style: colour-blind-safe, quiet, equal crops and scales.

Pictures are (H, W, 3) or (H, W) arrays in [0, 1], or (3, H, W) tensors. Functions return the figure; nothing is shown.
"""

from .charts import binned, curves, histograms
from .filters import filters, zero_map
from .motion import camera_paths, flow_fields, flow_picture, local_kernels
from .pictures import magnitudes, pictures, pictures_and_map
from .reblurring import descent, difference_maps, local_filters
from .sampling import distance_error, point_clouds, sampling_points
from .style import COLOURS, DIVERGING, SEQUENTIAL, as_picture, show, use_style
from .tables import differences

__all__ = [
    "binned", "curves", "histograms",
    "filters", "zero_map",
    "camera_paths", "flow_fields", "flow_picture", "local_kernels",
    "magnitudes", "pictures", "pictures_and_map",
    "descent", "difference_maps", "local_filters",
    "distance_error", "point_clouds", "sampling_points",
    "differences",
    "COLOURS", "DIVERGING", "SEQUENTIAL", "as_picture", "show", "use_style",
]  # fmt: skip
