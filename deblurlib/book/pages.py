"""Notebooks as self-contained web pages with embedded figures and MathML formulas."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .extra import notebook_packages

with notebook_packages():
    import jinja2
    from latex2mathml.converter import convert
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from nbformat import NotebookNode


def page(
    notebook: NotebookNode,
    title: str,
    here: Mapping[str, str] | None = None,
    pages: Sequence[Mapping[str, str]] = (),
) -> str:
    """Turn a notebook, with the outputs that are stored in it, into one HTML page.

    Args:
        notebook: A notebook of format 4.
        title: Title of the page.
        here: The entry of `pages` for this page; None for a standalone page.
        pages: Links to the pages of a book, each with href, label and title.

    Returns:
        The page.
    """
    exporter = PageExporter(
        template_file="page.html.j2",
        extra_loaders=[jinja2.FileSystemLoader(Path(__file__).parent)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    resources = {"pages": pages, "here": here, "metadata": {"name": title}}
    html, _ = exporter.from_notebook_node(notebook, resources)
    return str(html)


class FormulaRenderer(IPythonRenderer):
    """Markdown to HTML with formulas as MathML, which browsers draw without a script."""

    def block_math(self, body: str) -> str:
        """Render a display formula.

        Args:
            body: The formula in LaTeX.

        Returns:
            The formula as MathML.
        """
        return str(convert(body, display="block"))

    def inline_math(self, body: str) -> str:
        """Render an inline formula.

        Args:
            body: The formula in LaTeX.

        Returns:
            The formula as MathML.
        """
        return str(convert(body))


class PageExporter(HTMLExporter):
    """nbconvert's exporter with `FormulaRenderer`."""

    @jinja2.pass_context
    def markdown2html(self, context: Mapping[str, Any], source: str) -> str:
        """Render a Markdown cell.

        Args:
            context: Variables of the template, among them the cell with its attachments.
            source: Text of the cell.

        Returns:
            The cell as HTML.
        """
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = FormulaRenderer(escape=False, attachments=attachments)
        return str(MarkdownWithMath(renderer=renderer).render(source))
