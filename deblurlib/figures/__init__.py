"""Every plot that the notebooks draw, in one visual style: colour-blind-safe, quiet, equal crops and scales.

Pictures are (H, W, 3) or (H, W) arrays in [0, 1], or (3, H, W) tensors. Functions return the figure; nothing is shown.
"""

from .adaptation import (
    accuracy_against_time,
    attention_rows,
    maps_beside_pictures,
    overview_and_crops,
    worst_window,
)
from .charts import binned, curves, histograms
from .diagrams import attention_tensors, dense_module, network
from .filters import filters, kernel_and_inverse, zero_map, zeros_and_ringing
from .motion import camera_paths, flow_fields, flow_picture, local_kernels
from .pictures import before_and_after, magnitudes, pictures, pictures_and_map
from .pyramid import attention_maps, branch_points, diagram, reach_grids, size_and_quality
from .reblurring import descent, difference_maps, local_filters
from .recurrence import reach, receptive_fields, signed_maps, svrnn
from .sampling import distance_error, point_clouds, sampling_points
from .style import COLOURS, DIVERGING, SEQUENTIAL, as_picture, as_png, show, use_style
from .tables import (
    against_cost,
    correlations_with_controls,
    differences,
    printed_against_bound,
    stacked_counts,
)

__all__ = [
    "accuracy_against_time",
    "attention_rows",
    "maps_beside_pictures",
    "overview_and_crops",
    "worst_window",
    "binned",
    "curves",
    "histograms",
    "attention_tensors",
    "dense_module",
    "network",
    "filters",
    "kernel_and_inverse",
    "zero_map",
    "zeros_and_ringing",
    "camera_paths",
    "flow_fields",
    "flow_picture",
    "local_kernels",
    "before_and_after",
    "magnitudes",
    "pictures",
    "pictures_and_map",
    "attention_maps",
    "branch_points",
    "diagram",
    "reach_grids",
    "size_and_quality",
    "reach",
    "receptive_fields",
    "signed_maps",
    "svrnn",
    "descent",
    "difference_maps",
    "local_filters",
    "distance_error",
    "point_clouds",
    "sampling_points",
    "against_cost",
    "correlations_with_controls",
    "differences",
    "printed_against_bound",
    "stacked_counts",
    "COLOURS",
    "DIVERGING",
    "SEQUENTIAL",
    "as_picture",
    "as_png",
    "show",
    "use_style",
]
