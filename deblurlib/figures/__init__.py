"""Every plot of the notebooks in one visual style: colour-blind-safe, quiet, equal scales.

Images are (H, W, 3) or (H, W) arrays in [0, 1], or (3, H, W) tensors. Functions return the figure
and show nothing.
"""

from .adaptation import (
    accuracy_against_time,
    attention_rows,
    maps_beside_pictures,
    overview_and_crops,
    worst_window,
)
from .charts import binned, curves, histograms, training_curve
from .diagrams import attention_tensors, dense_module, network
from .filters import filters, kernel_and_inverse, zero_map, zeros_and_ringing
from .motion import camera_paths, flow_fields, flow_picture, local_kernels
from .pictures import before_and_after, magnitudes, pictures, pictures_and_map
from .pyramid import attention_maps, branch_points, diagram, reach_grids, size_and_quality
from .reblurring import descent, difference_maps, local_filters
from .recurrence import reach, receptive_fields, signed_maps, svrnn
from .sampling import distance_error, point_clouds, sampling_points
from .style import (
    COLOURS,
    DIVERGING,
    SEQUENTIAL,
    VERDICT_COLOURS,
    as_picture,
    as_png,
    show,
    use_style,
)
from .tables import (
    against_cost,
    claims_at_a_glance,
    correlations_with_controls,
    differences,
    dots_beside_printed,
    printed_against_bound,
    verdict_counts,
)

__all__ = [
    "COLOURS",
    "DIVERGING",
    "SEQUENTIAL",
    "VERDICT_COLOURS",
    "accuracy_against_time",
    "against_cost",
    "as_picture",
    "as_png",
    "attention_maps",
    "attention_rows",
    "attention_tensors",
    "before_and_after",
    "binned",
    "branch_points",
    "camera_paths",
    "claims_at_a_glance",
    "correlations_with_controls",
    "curves",
    "dense_module",
    "descent",
    "diagram",
    "difference_maps",
    "differences",
    "distance_error",
    "dots_beside_printed",
    "filters",
    "flow_fields",
    "flow_picture",
    "histograms",
    "kernel_and_inverse",
    "local_filters",
    "local_kernels",
    "magnitudes",
    "maps_beside_pictures",
    "network",
    "overview_and_crops",
    "pictures",
    "pictures_and_map",
    "point_clouds",
    "printed_against_bound",
    "reach",
    "reach_grids",
    "receptive_fields",
    "sampling_points",
    "show",
    "signed_maps",
    "size_and_quality",
    "svrnn",
    "training_curve",
    "use_style",
    "verdict_counts",
    "worst_window",
    "zero_map",
    "zeros_and_ringing",
]
