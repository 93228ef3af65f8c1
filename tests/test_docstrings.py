"""Docstrings that tools can read: every public name has one in Google style that fits it."""

import importlib
import inspect
import pkgutil
import re
from dataclasses import is_dataclass
from types import ModuleType

import pytest

import deblurlib

SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")
ASIDE = {  # importable only beside a GPU's compiler; runs the command line
    "deblurlib.ops.backends.triton_backend",
    "deblurlib.ops.backends.triton_kernels",
    "deblurlib.__main__",
}


def modules() -> list[ModuleType]:
    names = [m.name for m in pkgutil.walk_packages(deblurlib.__path__, "deblurlib.")]
    return [
        importlib.import_module(name)
        for name in names
        if name not in ASIDE and "__main__" not in name
    ]


def public() -> list[tuple[str, object]]:
    """Every public function, class and method that the package defines, by its dotted path."""
    found = {}
    for module in modules():
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                found[f"{module.__name__}.{name}"] = value
            if inspect.isclass(value):
                for key, member in vars(value).items():
                    function = (
                        member.__func__
                        if isinstance(member, classmethod | staticmethod)
                        else member
                    )
                    if inspect.isfunction(function) and not key.startswith("_"):
                        found[f"{module.__name__}.{name}.{key}"] = function
    return sorted(found.items())


def sections(text: str) -> dict[str, str]:
    """The sections of a Google-style docstring, by title."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> set[str]:
    """The names that a section explains: one per line that is indented by four spaces."""
    lines = re.findall(r"^ {4}(\S[^:\n]*):(?:\s|$)", section, flags=re.MULTILINE)
    return {name.strip().lstrip("*") for line in lines for name in line.split(",")}


def problems(path: str, value: object) -> list[str]:
    text = value.__doc__ or ""
    if not text.strip() or (is_dataclass(value) and text.startswith(f"{value.__name__}(")):
        return [f"{path} has no docstring"]
    if inspect.isclass(value):
        return []
    found, signature = sections(text), inspect.signature(value)
    wanted = {name for name in signature.parameters if name not in ("self", "cls")}
    given = entries(found.get("Args", ""))
    command = value.__module__.startswith("deblurlib.cli.")  # options carry their own help
    network = value.__qualname__.endswith(".forward") and not found
    said = (
        []
        if command or network
        else [f"{path} does not explain {name}" for name in sorted(wanted - given)]
    )
    said += [f"{path} explains {name}, which it does not take" for name in sorted(given - wanted)]
    returns = signature.return_annotation not in (inspect.Signature.empty, None, "None")
    summary = inspect.cleandoc(text).startswith("Return ")  # says it by itself
    if returns and not (command or network or summary or {"Returns", "Yields"} & set(found)):
        said.append(f"{path} does not say what it returns")
    return said


def test_public_functions_are_documented_as_they_are():
    found = [problem for path, value in public() for problem in problems(path, value)]
    assert not found, f"{len(found)} problems:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("", ["f has no docstring"]),
        ("Does it.\n\nArgs:\n    a: One.\n    b: Two.\n\nReturns:\n    Three.\n", []),
        ("Does it.\n\nArgs:\n    a: One.\n\nReturns:\n    Three.\n", ["f does not explain b"]),
        ("Does it.\n\nArgs:\n    a, b: Two.\n", ["f does not say what it returns"]),
        (
            "Does it.\n\nArgs:\n    a, b: Two.\n    c: No.\n\nReturns:\n    3.\n",
            ["f explains c, which it does not take"],
        ),
    ],
)
def test_what_a_docstring_lacks_is_found(text, wanted):
    def f(a: int, *b: int) -> int:
        return a

    f.__doc__ = text
    assert problems("f", f) == wanted
