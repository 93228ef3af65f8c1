"""Commands for images and networks: deblur, evaluate, check-data, models."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..wording import counted
from .shared import AsJson, Device, ExitCode, Overwrite, given, print_json, records

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import Subset

    from ..data import PairedFolder, Sample, SceneDataset
    from ..inference.files import Row

commands = typer.Typer()
Model = Annotated[str, typer.Option(help="Network; see `deblurlib models`.")]
Weights = Annotated[
    str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped weights.")
]
Size = Annotated[
    str | None,
    typer.Option(help="full or small; default: the size that is shipped, full if both are."),
]


@commands.command(epilog="Example: deblurlib deblur holiday/ portrait.jpg -o sharp/")
def deblur(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help='Images, films, folders (of images, searched recursively) or patterns as "*.jpg".'
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A folder, or a file for a single image.")
    ],
    model: Model = "svdn",
    weights: Weights = "default",
    size: Size = None,
    tile: Annotated[
        str,
        typer.Option(
            help="Tile side in pixels; 0 = whole image; auto = as large as memory allows."
        ),
    ] = "auto",
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Also write NAME_compare.jpg: before and after."),
    ] = False,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Quality of JPEG, WebP and films.")
    ] = 95,
    strength: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the change to apply; less does less harm."),
    ] = 1.0,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite/--skip-existing",
            "--force",
            help="Replace output files that exist, or leave them alone.",
        ),
    ] = False,
    device: Device = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, bf16, or auto: bf16 where the hardware multiplies it and the weights "
            "are known to give the same 8-bit image."
        ),
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Deblur images of any size: PNG, JPEG, TIFF, WebP, AVIF or BMP, 8 or 16 bits, grey or colour.

    Transparency, EXIF data, colour profile and resolution are kept; input files are never
    changed. Images that cannot be read are listed at the end; the others are deblurred. Existing
    output is kept, so the same command continues after an interruption. Films (.mp4, .mov, .mkv,
    .webm and others) keep their frame times, sound, rotation, colour range and matrix.
    """
    from ..inference import choose_device
    from ..inference.deblurring import resolve_network
    from ..inference.files import deblur_files
    from ..inference.planning import plan
    from ..inference.precision import choose_precision

    if tile != "auto" and not tile.isdecimal():
        raise ValueError(
            f"--tile is {tile!r}: give a number of pixels, 0 for the whole image, or auto."
        )
    work = plan(inputs, output, compare)
    chosen = choose_device(device)
    network = resolve_network(_network(model, weights, size, device))
    exact = choose_precision(precision, network, chosen)
    rows = deblur_files(
        work,
        output,
        network,
        precision=exact,
        overwrite=overwrite,
        compare=compare,
        quality=quality,
        strength=strength,
        **given(tile=None if tile == "auto" else int(tile)),
    )
    failed = [row["error"] for row in rows if row["error"] is not None]
    done, kept = (sum(row["state"] == state for row in rows) for state in ("done", "exists"))
    if as_json:
        print_json(
            {
                "model": model,
                **_identity(model, weights, size),
                "device": str(chosen),
                "precision": exact,
                "strength": strength,
                "done": done,
                "exists": kept,
                "skipped": list(map(str, work.others)),
                "pictures": rows,
            }
        )
    else:
        existed = f"; {kept} existed already, --overwrite replaces them" if kept else ""
        others = f"; {_counted(work.others)} skipped" if work.others else ""
        deblurred = f"{done} of {counted(len(rows), 'image')} deblurred into {output}"
        typer.echo(f"{deblurred}{existed}{others}.")
        if no_sharper := _no_sharper(rows):
            typer.echo(f"{_counted(no_sharper, 'image')} did not get sharper: keep the original.")
        lost = sorted({name for row in rows for name in row["lost"]})
        if lost:
            typer.echo(f"The output formats have no place for: {', '.join(lost)}.")
    for sentence in failed:
        typer.secho(sentence, fg="red", err=True)
    raise typer.Exit(ExitCode.FAILURE if failed else ExitCode.SUCCESS)


@commands.command(
    epilog="Example: deblurlib evaluate /data/GOPRO_Large --split test --variant blur -o gopro.csv"
)
def evaluate(
    data: Annotated[
        str | None,
        typer.Argument(help="Root of a data set; default: rendered test scenes."),
    ] = None,
    model: Model = "svdn",
    weights: Weights = "default",
    size: Size = None,
    blurry_only: Annotated[
        bool,
        typer.Option("--blurry-only", help="Measure the blurry images alone, without a network."),
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(
            help="train or test, if the data set has both; of rendered scenes also validation."
        ),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="blur or blur_gamma, if the data set has both.")
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(help="Range of images, FIRST:END, counted from 0; default: all."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Preset for the number and size of rendered scenes.")
    ] = "quick",
    camera: Annotated[
        str | None,
        typer.Option(
            help="Camera that rendered scenes pass through, real or daylight; default: none, a "
            "clean average."
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Comma-separated: rgb-psnr, ssim-skimage, ssim-wang2004, ssim-grey, "
            "ssim-matlab-rgb3d, ssim-range2, lpips-alex."
        ),
    ] = "rgb-psnr,ssim-skimage",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the table, one row per image, to this CSV."),
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a network on a data set: one row per image, the means, and the gain over no network.

    The gain is the mean difference to the blurry images, with a 95 % interval over images.

    Rows are printed and written as they are measured: until the last one, OUTPUT.partial.csv holds
    those of an unfinished or interrupted call.
    """
    from .measuring import Measurement, sentences, summary

    images = _dataset(preset, **given(data=data, split=split, variant=variant, camera=camera))
    dataset = images if frames is None else _subset(images, frames)
    network = None if blurry_only else _network(model, weights, size, device)
    used = {} if blurry_only else _identity(model, weights, size)
    measurement = Measurement(
        network, dataset, metrics.split(","), output, quiet=as_json, overwrite=overwrite
    )
    table = measurement.run()
    try:
        measurement.save(
            table,
            data=_described(data, preset, split, camera),
            **({"model": None} if blurry_only else {"model": model, **used}),
        )
    finally:  # also if the disk is full
        found = summary(table)
        if as_json:
            report = {**found, "images": records(table)}
            print_json({"model": None if blurry_only else model, **used, **report})
        else:
            typer.echo("\n".join(sentences(found)))


@commands.command(epilog="Example: deblurlib check-data /data/GOPRO_Large --json")
def check_data(
    root: Annotated[Path, typer.Argument(help="Root of a data set.")], as_json: AsJson = False
) -> None:
    """Check a data set: layout, splits, damaged files, and counts against the official ones."""
    from ..data import check_data as check

    report = check(root)
    if as_json:
        print_json(report.as_dict())
    else:
        typer.echo(report.text)
    if not report.ok:
        raise typer.Exit(ExitCode.FAILURE if root.is_dir() else ExitCode.USAGE)


@commands.command(epilog="Example: deblurlib models --json")
def models(as_json: AsJson = False) -> None:
    """List the shipped weights, and the networks with their variants and numbers of parameters.

    The gain, in dB over the blurry images, is that on the rendered test scenes.
    """
    import pandas as pd
    import torch

    from ..models import count_parameters, create_model, list_models, list_variants
    from ..models.weights import list_weights
    from .tables import print_table

    with torch.device("meta"):  # shapes without storage
        rows = [
            {
                "model": name,
                "variant": variant,
                "parameters": count_parameters(create_model(name, variant)),
            }
            for name in list_models()
            for variant in list_variants(name)
        ]
    shipped = list_weights()
    if as_json:
        print_json({"weights": shipped, "networks": rows})
        return
    table = pd.DataFrame(shipped)
    table["sha256"] = table.sha256.str[:12]
    typer.echo("Shipped weights:")
    print_table(table)
    typer.echo("\nNetworks:")
    print_table(pd.DataFrame(rows))


def _network(model: str, weights: str, size: str | None, device: str) -> "nn.Module":
    """The network that `deblur` and `evaluate` mean by their options, on its device."""
    from ..inference import choose_device
    from ..models import load_model

    return load_model(model, weights, **given(size=size)).to(choose_device(device))


def _identity(model: str, weights: str, size: str | None) -> dict[str, str]:
    """The file of weights that is used, by name and content."""
    from ..models.weights import find_weights, sha256_of

    path = find_weights(model, weights, size)
    return {"weights": path.name, "weights_sha256": sha256_of(path)}


def _counted(paths: list[Path], kind: str = "other file") -> str:
    """How many files there are, and the names of the first."""
    names = ", ".join(path.name for path in paths[:3]) + (", …" if paths[3:] else "")
    return f"{counted(len(paths), kind)} ({names})"


def _no_sharper(rows: "list[Row]") -> list[Path]:
    """The images whose score did not rise."""
    return [
        Path(row["input"])
        for row in rows
        if row["sharpness"] is not None
        and row["sharpness_before"] is not None
        and row["sharpness"] <= row["sharpness_before"]
    ]


def _dataset(
    preset: str,
    data: str | None = None,
    split: str | None = None,
    variant: str | None = None,
    camera: str | None = None,
) -> "PairedFolder | SceneDataset":
    """A data set from disk, or rendered scenes."""
    from ..data import PairedFolder, SceneDataset
    from ..experiments import get_preset

    chosen = get_preset(preset)  # a wrong name is an error even if the preset is not used
    if data is not None:
        if camera is not None:
            raise ValueError(
                f"--camera {camera} is for rendered scenes, and {data} holds images that a camera "
                "took: leave one of them out."
            )
        return PairedFolder(data, split, variant, neighbours=False)
    return SceneDataset(
        split or "test",
        chosen.test_scenes,
        chosen.scene_size,
        variant=variant or "blur",
        photos=chosen.photos,
        camera=camera,
    )


def _described(data: str | None, preset: str, split: str | None, camera: str | None) -> str:
    """What was measured on, for the origin of a table."""
    if data is not None:
        return Path(data).name
    through = f" through the camera {camera!r}" if camera else ""
    return f"rendered {split or 'test'} scenes of the preset {preset}{through}"


def _subset(dataset: "PairedFolder | SceneDataset", frames: str) -> "Subset[Sample]":
    """The images FIRST:END of a data set."""
    from torch.utils.data import Subset

    if not re.fullmatch(r"\d*:\d*", frames):
        raise ValueError(f"--frames is {frames!r}: give FIRST:END, such as 0:100, counted from 0.")
    first, end = (int(number) if number else None for number in frames.split(":"))
    chosen = range(len(dataset))[first:end]
    if not chosen:
        raise ValueError(
            f"--frames {frames} selects none of {counted(len(dataset), 'image')}: "
            "give FIRST:END, counted from 0."
        )
    return Subset(dataset, chosen)
