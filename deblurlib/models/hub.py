"""Weights on the Hugging Face Hub, or in a folder of the same form: model.safetensors, model.json (its recipe), README.md."""

import tempfile
from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import nn

from .weights import load_model, read_recipe, save_model

WEIGHTS, RECORD = "model.safetensors", "model.json"
CARD = """---
license: mit
library_name: deblurlib
pipeline_tag: image-to-image
tags: [deblurring]
---

# {name}, variant {variant}, size {size}

```python
from deblurlib.models import from_pretrained

network = from_pretrained("{repository}")  # (B, 3, H, W) RGB in [0, 1] -> the same
```

`model.json` says how the weights were made.
"""


def from_pretrained(source: str | Path, revision: str | None = None) -> nn.Module:
    """A trained network, in eval mode, from a folder or from the Hub ("owner/name"), at a branch, tag or commit there.

    Nothing that was downloaded is executed. Raises ImportError for a name on the Hub without the package huggingface_hub,
    FileNotFoundError where there are no weights, ValueError for a record or weights that do not fit.
    """
    if Path(source).is_dir():
        folder = Path(source)
    else:
        hub = require(
            "huggingface_hub", "hub", f"{source} is not a folder, and the Hugging Face Hub"
        )
        files = [
            hub.hf_hub_download(str(source), name, revision=revision) for name in (RECORD, WEIGHTS)
        ]
        folder = Path(files[0]).parent
    recipe = read_recipe(folder / RECORD)
    if recipe is None:
        raise FileNotFoundError(
            f"{folder} holds no {RECORD} that names the network: save it with deblurlib.models.save_model."
        )
    return load_model(recipe["name"], folder / WEIGHTS)


def push_to_hub(
    model: nn.Module, repository: str, provenance: dict, *, private: bool = False
) -> str:
    """Put a network's weights, its record and a card on the Hub ("owner/name") with your own token; returns the address.

    provenance: what the record says beside the recipe: data, steps, seconds … Raises ImportError without huggingface_hub.
    """
    api = require("huggingface_hub", "hub", "The Hugging Face Hub").HfApi()
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / WEIGHTS, provenance)
        (Path(folder) / "README.md").write_text(CARD.format(repository=repository, **model.recipe))
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    return f"https://huggingface.co/{repository}"


def require(package: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Args:
        package: Name of the package.
        extra: The extra of deblurlib that installs it.
        purpose: What needs it, as the subject of the error's sentence.

    Returns:
        The package's module.

    Raises:
        ImportError: The package is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(
            f"{purpose} needs the package {package}: install it with "
            f'`pip install "deblurlib[{extra}]"`.'
        ) from None
