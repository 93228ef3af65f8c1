"""Notebooks as web pages that need nothing but themselves: figures are inside, and formulas are MathML."""

from pathlib import Path

import jinja2
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


def page(notebook, title: str, here: dict | None = None, pages=()) -> str:
    """A notebook, with the outputs that are stored in it, as one HTML page.

    pages: links to the pages of a book, each with href, label and title; here: the one of them that this is.
    """
    exporter = PageExporter(
        template_file="page.html.j2",
        extra_loaders=[jinja2.FileSystemLoader(Path(__file__).parent)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    return exporter.from_notebook_node(
        notebook, {"pages": pages, "here": here, "metadata": {"name": title}}
    )[0]


class FormulaRenderer(IPythonRenderer):
    """Markdown to HTML with formulas as MathML, which browsers draw without a program."""

    def block_math(self, body):
        return convert(body, display="block")

    def inline_math(self, body):
        return convert(body)


class PageExporter(HTMLExporter):
    """nbconvert's exporter with the renderer above."""

    @jinja2.pass_context
    def markdown2html(self, context, source):
        attachments = context.get("cell", {}).get("attachments", {})
        return MarkdownWithMath(
            renderer=FormulaRenderer(escape=False, attachments=attachments)
        ).render(source)
