"""Weights on the Hugging Face Hub or in a folder of the same layout.

The files are model.safetensors, model.json (its recipe) and README.md.
"""

import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from .weights import load_model, recorded_recipe, save_model

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

`model.json` records how the weights were trained.
"""


def from_pretrained(source: str | Path, revision: str | None = None) -> nn.Module:
    """Load a trained network from a folder or the Hub; nothing that is downloaded is executed.

    Args:
        source: A folder, or "owner/name" on the Hub.
        revision: A branch, tag or commit there.

    Returns:
        The network, in eval mode.

    Raises:
        ImportError: If `source` is on the Hub, and the package huggingface_hub is not installed.
        FileNotFoundError: If the weights or the record of the network are missing.
        ValueError: If the record or the weights do not match.
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
    recipe = recorded_recipe(folder / WEIGHTS)  # a lost record is replaced by the file's own
    if recipe is None:
        raise FileNotFoundError(
            f"{folder} has no {RECORD} that names the network: "
            "save it with deblurlib.models.save_model."
        )
    return load_model(recipe["name"], folder / WEIGHTS)


def push_to_hub(
    model: nn.Module, repository: str, provenance: Mapping[str, Any], *, private: bool = False
) -> str:
    """Upload a network's weights, its record and a card to the Hub with your own token.

    Args:
        model: A network that `create_model` made.
        repository: "owner/name".
        provenance: Entries of the record in addition to the recipe: data, steps, seconds …
        private: Hide a new repository from others.

    Returns:
        The address of the repository.

    Raises:
        ImportError: If the package huggingface_hub is not installed.
    """
    api = require("huggingface_hub", "hub", "The Hugging Face Hub").HfApi()
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / WEIGHTS, provenance)
        (Path(folder) / "README.md").write_text(
            CARD.format(repository=repository, **vars(model)["recipe"])
        )
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
        ImportError: If the package is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(
            f"{purpose} needs the package {package}: install it with "
            f'`pip install "deblurlib[{extra}]"`.'
        ) from None
