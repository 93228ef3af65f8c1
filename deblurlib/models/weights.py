"""Weights of networks: safetensors files, each with a JSON file that records its provenance."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..provenance import digest_of
from ..storage import write_atomically
from .checkpoints import find_state
from .registry import create_model, spec_of
from .spec import NetworkSpec

WEIGHTS = Path(__file__).parent.parent / "weights"
SIZES = ("full", "small")
CHECKPOINT = (b"PK", b"\x80")  # how files of torch.save begin: a zip archive, earlier a pickle
DAMAGE = (
    SafetensorError,
    BadZipFile,
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    MemoryError,
)
EXPERIMENT = "experiment.json"  # the record of a training, beside its checkpoints

LOADED: dict[str, str] = {}  # sha256 of each shipped file of weights that was loaded, by its name


def save_model(
    model: nn.Module,
    path: str | Path,
    provenance: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write weights as safetensors and, beside them, a JSON with the recipe and the provenance.

    The safetensors file holds the recipe as well, so that weights are never loaded into another
    variant of the same shapes.

    Args:
        model: A network that `create_model` made.
        path: The .safetensors file.
        provenance: Entries of the record in addition to the recipe: data, steps, seconds …
        dtype: Data type of the file; torch.float16 halves its size.

    Returns:
        The path.
    """
    path = Path(path)
    state = {
        k: v.detach().cpu().to(dtype if v.is_floating_point() else v.dtype).contiguous()
        for k, v in model.state_dict().items()
    }
    record = {"recipe": model.recipe, **provenance}
    write_atomically(path.with_suffix(".json"), json.dumps(record, indent=1, default=str) + "\n")
    # one key: safetensors writes several in a random order
    metadata = {"recipe": json.dumps(model.recipe, default=str)}
    return write_atomically(path, save(state, metadata))


def load_model(
    name: str,
    weights: str | Path = "default",
    variant: str = "paper",
    *,
    size: str | None = None,
) -> nn.Module:
    """Make a network with trained weights, in eval mode.

    Loading never runs code: .pth files are read with weights_only=True. In the checkpoints of
    trainers, weights are found below the usual names and prefixes, the averaged ones first.

    Args:
        name: One of `list_models()`.
        weights: "default" for the shipped ones, or the path of a .safetensors, .pth or .npz file:
            ours, as the authors published it, or a checkpoint of a trainer.
        variant: Variant of the network; the recipe that the file or the JSON beside it records
            takes precedence.
        size: "full" or "small"; a recorded recipe takes precedence. None for the size that is
            shipped, full if both are, and for full in other files.

    Returns:
        The network.

    Raises:
        FileNotFoundError: If the file does not exist, or no weights are shipped.
        ValueError: If a name is unknown, or the file is damaged or does not fit the network.
    """
    path = find_weights(name, weights, size)
    recipe = recorded_recipe(path) or _parse_recipe(
        {"name": name, "variant": variant, "size": size or "full", "overrides": {}}
    )
    if recipe["name"] != name:
        raise ValueError(
            f"{path.name} holds weights of {recipe['name']}, not of {name}: "
            "load it under that name."
        )
    model = create_model(name, recipe["variant"], size=recipe["size"], **recipe["overrides"])
    load_weights(model, path)
    vars(model)["bf16_agreement_db"] = _read_record(path).get("bf16_agreement_db")
    return model.eval()


def find_weights(name: str, weights: str | Path = "default", size: str | None = None) -> Path:
    """Find a file of weights.

    Args:
        name: One of `list_models()`.
        weights: "default" for the shipped ones, or a path.
        size: "full" or "small", of shipped weights; None for the size that is shipped.

    Returns:
        The path of an existing file.

    Raises:
        FileNotFoundError: If the file does not exist, or no weights are shipped.
        ValueError: If the name is unknown.
    """
    spec_of(name)
    path = shipped_weights(name, size) if weights == "default" else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no weights file {path}: give the path of a .safetensors, .pth or .npz file."
        )
    return path


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a file of weights into a network that `create_model` made.

    Args:
        model: The network.
        path: A .safetensors, .pth or .npz file.

    Raises:
        ValueError: If the file is damaged or does not fit the network.
    """
    content = _read_state(path)
    state = _translated(content, spec_of(vars(model)["recipe"]["name"]), model, path)
    if state is content:
        parameters = [name for name, _ in model.named_parameters()]
        state = find_state(content, set(model.state_dict()), parameters, path.name)
    if not isinstance(state, dict) or not all(
        isinstance(v, torch.Tensor) and v.layout == torch.strided for v in state.values()
    ):
        raise ValueError(
            f"{path} holds something other than named dense tensors: "
            "give the state_dict of a network, or a checkpoint that contains one as model, "
            "params, state_dict or their averages (…_ema)."
        )
    _load_state(model, state, path)
    if path.resolve().is_relative_to(WEIGHTS.resolve()):
        name = path.resolve().relative_to(WEIGHTS.resolve()).with_suffix("").as_posix()
        LOADED[name] = sha256_of(path)


def provenance(name: str, size: str | None = None) -> dict[str, Any]:
    """Read the record of the shipped weights of a network.

    Args:
        name: One of `list_models()`.
        size: "full" or "small"; None for the one that is shipped, full if both are.

    Returns:
        Recipe, data, steps, seconds, hash of the experiment, versions.

    Raises:
        FileNotFoundError: If no weights of that size are shipped.
        ValueError: If the name is unknown.
    """
    spec_of(name)
    path = shipped_weights(name, size).with_suffix(".json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def sha256_of(path: str | Path) -> str:
    """Hash a file of weights, to say which weights a number was measured with.

    Args:
        path: The file.

    Returns:
        The sha256 of its content, 64 hexadecimal digits.
    """
    return digest_of(Path(path).resolve()).hex()


def list_weights() -> list[dict[str, Any]]:
    """List the weights that ship with the library.

    Returns:
        One row per file: weights, model, variant, size, steps of its training, gain in dB on the
        rendered test scenes (None if its record does not say), megabytes and sha256.
    """
    rows = []
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        record = json.loads(path.with_suffix(".json").read_text())
        row = {"weights": path.stem, "model": record["recipe"]["name"]}
        row |= {key: record["recipe"][key] for key in ("variant", "size")}
        row |= {key: record.get(key) for key in ("steps", "gain")}
        megabytes = round(path.stat().st_size / 1e6, 1)
        rows.append({**row, "megabytes": megabytes, "sha256": sha256_of(path)})
    return rows


def recorded_recipe(path: Path) -> dict[str, Any] | None:
    """Read how the network of a file of weights was made.

    Args:
        path: The file of weights; a safetensors file may hold the recipe itself.

    Returns:
        Name, variant, size and overrides; None if neither the file nor a JSON beside it says so.

    Raises:
        ValueError: If a record is damaged, or the file and the JSON disagree.
    """
    if path.suffix == ".pt" and (path.parent / EXPERIMENT).is_file():
        return _recipe_of_training(path.parent / EXPERIMENT)
    beside, inside = read_recipe(path.with_suffix(".json")), _recipe_inside(path)
    if beside is not None and inside is not None and beside != inside:
        raise ValueError(
            f"{path} holds weights of {inside['name']} {inside['variant']}, but "
            f"{path.with_suffix('.json').name} describes {beside['name']} {beside['variant']}: "
            "restore the JSON that belongs to the weights, or remove it."
        )
    return inside or beside


def _recipe_inside(path: Path) -> dict[str, Any] | None:
    """The recipe in the metadata of a safetensors file; None if it has none."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("recipe")
        return None if text is None else _parse_recipe(json.loads(text))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # reading its tensors says what is wrong


def _recipe_of_training(record: Path) -> dict[str, Any]:
    """The recipe of the network in a checkpoint of ours, from the record of its training."""
    try:
        experiment = json.loads(record.read_text())["experiment"]
        recipe = {**experiment, "name": experiment["model"]}
        return _parse_recipe({"overrides": experiment.get("options", ()), **recipe})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{record}, the record of a training, is damaged: restore it.") from None


def _parse_recipe(recipe: Any) -> dict[str, Any]:
    named = {key: str(recipe[key]) for key in ("name", "variant", "size")}
    return {"overrides": dict(recipe["overrides"]), **named}


def read_recipe(record: Path) -> dict[str, Any] | None:
    """Read how a network was made.

    Args:
        record: The JSON beside its weights.

    Returns:
        Name, variant, size and overrides; None if there is no JSON, or it has no recipe.

    Raises:
        ValueError: If the record is damaged.
    """
    try:
        recipe = _read_record(record).get("recipe")
        return _parse_recipe(recipe) if recipe else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{record}, the record of a network, is damaged: "
            "remove it, or restore it from the original."
        ) from None


def _read_record(path: Path) -> dict[str, Any]:
    """The JSON beside weights; empty if there is none."""
    record = path.with_suffix(".json")
    return dict(json.loads(record.read_text())) if record.is_file() else {}


def _read_state(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: torch.from_numpy(arrays[key]) for key in arrays}
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch wraps what a forbidden pickle wants to do in UnpicklingError, and what is no pickle
        if isinstance(error, DAMAGE) or not path.read_bytes()[:2].startswith(CHECKPOINT):
            raise ValueError(
                f"{path} cannot be read as weights ({type(error).__name__}): "
                "give an intact .safetensors, .pth or .npz file."
            ) from None
        raise ValueError(
            f"{path} was not loaded, since it holds more than tensors ({type(error).__name__}): "
            "give a plain state_dict."
        ) from None


def _translated(state: Any, spec: NetworkSpec, model: nn.Module, path: Path) -> Any:
    """The authors' published weights under our names; anything else unchanged."""
    if not spec.translate or not isinstance(state, dict) or set(state) == set(model.state_dict()):
        return state
    try:
        return spec.translate(state)
    except Exception as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ValueError(
            f"{path} cannot be translated to {type(model).__name__} "
            f"({type(error).__name__}: {reason}): give the file as its authors "
            "published it, or a state_dict with this library's names."
        ) from error


def _load_state(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    wanted = model.state_dict()
    wrong = [f"{k} is missing" for k in wanted if k not in state]
    wrong += [f"{k} is not part of the network" for k in state if k not in wanted]
    wrong += [
        f"{k} has shape {tuple(state[k].shape)} instead of {tuple(wanted[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != wanted[k].shape
    ]
    wrong += [
        f"{k} is of type {_kind(state[k])} instead of {_kind(wanted[k])}"
        for k in wanted
        if k in state and _kind(state[k]) != _kind(wanted[k])
    ]
    if wrong:
        raise ValueError(
            f"{path.name} does not fit this network ({len(wrong)} mismatches: "
            f"{'; '.join(wrong[:3])}): give the variant and size that it was saved with."
        )
    if not all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point()):
        raise ValueError(
            f"{path.name} holds values that are not finite, so its training has diverged: "
            "give other weights."
        )
    model.load_state_dict({k: v.to(wanted[k].dtype) for k, v in state.items()})


def _kind(tensor: Tensor) -> str:
    """Floating-point, complex, boolean or integer: between these, a cast changes weights."""
    if tensor.dtype.is_floating_point:
        return "floating-point"
    if tensor.dtype.is_complex:
        return "complex"
    return "boolean" if tensor.dtype == torch.bool else "integer"


def shipped_weights(name: str, size: str | None = None) -> Path:
    """Find the weights that ship for a network.

    Args:
        name: One of `list_models()`.
        size: "full" or "small"; None for the one that is shipped, full if both are.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If there is none.
    """
    paths = [WEIGHTS / f"{name}_{each}.safetensors" for each in ([size] if size else SIZES)]
    path = next((path for path in paths if path.is_file()), paths[0])
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in WEIGHTS.glob("*.safetensors"))) or "none"
        raise FileNotFoundError(
            f"No trained weights of {name}{f' in size {size!r}' if size else ''} are shipped "
            f"({shipped} are): train it, or give a path."
        )
    return path
