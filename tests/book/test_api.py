"""The API reference: each public name is there, and nothing needs a network."""

import re

import pytest
from bs4 import BeautifulSoup

import deblurlib
from deblurlib.book.api import public_modules, write_api


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    written = write_api(folder)
    names = {
        str(path.relative_to(folder).with_suffix("")).replace("/", "."): path for path in written
    }
    return {name: BeautifulSoup(path.read_text(), "html.parser") for name, path in names.items()}


def test_every_public_name_has_an_entry(pages):
    def has(module, name):
        return pages[module].find(id=re.compile(rf"^{re.escape(name)}$")) is not None

    for package in ("data", "experiments", "figures", "inference", "models", "ops", "training"):
        module = getattr(deblurlib, package, None) or __import__(f"deblurlib.{package}")
        for name in getattr(module, "__all__", ()):
            assert has(f"deblurlib.{package}", name), f"{package}.{name}"
    for name in ("deblur", "create_model", "load_model", "list_models", "list_variants"):
        assert has("deblurlib", name), name
    assert set(public_modules()) <= set(pages)


def test_arguments_and_results_are_sections(pages):
    entry = pages["deblurlib.analysis.significance"].find(id="paired_bootstrap")
    assert {"Arguments:", "Returns:", "Raises:"} <= {h.text for h in entry.find_all("h6")}


def test_the_pages_load_nothing_from_elsewhere(pages):
    for name, page in pages.items():
        loaded = [
            tag.get("src") or tag.get("href") for tag in page.find_all(["script", "link", "img"])
        ]
        assert not [link for link in loaded if link and link.startswith(("http", "//"))], name
