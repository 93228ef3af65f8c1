"""results/README.md: what each table, column and metric of the results means."""

from collections.abc import Iterable

from .. import dictionary, papers

METRICS = """
## Metrics

PSNR and SSIM are named by preset, because settings move SSIM more than methods do. A printed SSIM
stands beside ours only if both have the same preset, as far as that is known: no paper states its
settings, and `deblurlib/papers/ssim.csv` gives the reason for each table.
`tables/ssim_packages.csv` has what other packages compute.

| preset | formula | comparable with the published values of | source |
|---|---|---|---|
"""


def data_page(tables: Iterable[str]) -> str:
    """Write the page.

    Args:
        tables: Names of the tables in the results folder, without suffix.

    Returns:
        Markdown: the data dictionary, then the presets of metrics.
    """
    columns = ["preset", "formula", "comparable_with", "source"]
    presets = papers.metrics()[columns].assign(preset=lambda rows: "`" + rows.preset + "`")
    return dictionary.as_markdown(tables) + METRICS + dictionary.markdown_rows(presets)
