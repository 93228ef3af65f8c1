"""The commands for pictures and networks: deblur, evaluate, check-data, models."""

import re
import signal
from pathlib import Path
from typing import Annotated

import typer

from .shared import DONE, FAILED, WRONG_CALL, AsJson, Device, as_text, print_json, records

commands = typer.Typer()


@commands.command(epilog="Example: deblurlib deblur holiday/ portrait.jpg -o sharp/")
def deblur(
    inputs: Annotated[
        list[str],
        typer.Argument(help='Pictures, folders with all below them, or patterns such as "*.jpg".'),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A folder; for one picture also a file.")
    ],
    model: Annotated[str, typer.Option(help="Which network; see `deblurlib models`.")] = "svdn",
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped ones.")
    ] = "default",
    tile: Annotated[
        str,
        typer.Option(help="Side of the pieces in pixels; auto = by the memory, 0 = in one piece."),
    ] = "auto",
    compare: Annotated[
        bool, typer.Option("--compare", help="Also write NAME_compare.jpg: before and after.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite pictures that exist already.")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
):
    """Deblur pictures: PNG, JPEG, TIFF, WebP and BMP of any size, 8 or 16 bits, grey or colour; inputs are never changed.

    What stands beside the pixels is kept: transparency, EXIF, colour profile, resolution. A picture that cannot be read is
    named at the end, and the others are done.
    """
    from ..inference import choose_device
    from ..inference.files import deblur_files
    from ..models import load_model

    if tile != "auto" and not tile.isdecimal():
        raise ValueError(
            f"--tile is {tile!r}: give a number of pixels, 0 for the whole picture, or auto."
        )
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a terminated run leaves no half-written file, as after Ctrl-C
    chosen = choose_device(device)
    network = model if weights == "default" else load_model(model, weights).to(chosen)
    rows = deblur_files(
        inputs,
        output,
        network,
        device,
        tile if tile == "auto" else int(tile),
        force=force,
        compare=compare,
        quality=quality,
    )
    left = [row for row in rows if row["state"] != "done"]
    if as_json:
        print_json(
            {
                "model": model,
                "weights": weights,
                "device": str(chosen),
                "done": len(rows) - len(left),
                "pictures": rows,
            }
        )
    else:
        typer.echo(f"{len(rows) - len(left)} of {len(rows)} pictures deblurred into {output}.")
    for row in left:
        typer.secho(row["error"], fg="red", err=True)
    raise typer.Exit(FAILED if left else DONE)


@commands.command(
    epilog="Example: deblurlib evaluate /data/GOPRO_Large --split test --variant blur --output svdn_gopro.csv"
)
def evaluate(
    data: Annotated[
        str, typer.Argument(help="Root of a real data set; empty = the rendered test scenes.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="Which network; empty = measure the blurry pictures alone.")
    ] = "svdn",
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped ones.")
    ] = "default",
    split: Annotated[str, typer.Option(help="train or test, where the data set has both.")] = "",
    variant: Annotated[
        str, typer.Option(help="blur or blur_gamma, where the data set has both.")
    ] = "",
    frames: Annotated[str, typer.Option(help="Only these, counted from 0: FIRST:END.")] = "",
    preset: Annotated[str, typer.Option(help="Number and size of the rendered scenes.")] = "quick",
    metrics: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "rgb-psnr,ssim-skimage",
    output: Annotated[
        Path | None, typer.Option(help="Write the table, one row an image, as CSV here.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
):
    """Measure a network on a data set: one row an image, and the mean."""
    from torch.utils.data import Subset

    from .. import evaluation
    from ..data import PairedFolder, SceneDataset
    from ..experiments.presets import get_preset
    from ..inference import choose_device
    from ..models import load_model
    from ..results import save_table

    chosen = get_preset(preset)
    scenes = data == ""
    dataset = (
        SceneDataset("test", chosen.test_scenes, chosen.scene_size, variant=variant or "blur")
        if scenes
        else None
    )
    dataset = dataset or PairedFolder(data, split or None, variant or None, neighbours=False)
    if frames:
        if not re.fullmatch(r"\d*:\d*", frames):
            raise ValueError(
                f"--frames is {frames!r}: give FIRST:END, such as 0:100, counted from 0."
            )
        first, end = frames.split(":")
        chosen_frames = range(len(dataset))[int(first or 0) : int(end) if end else None]
        if not chosen_frames:
            raise ValueError(
                f"--frames {frames} takes none of the {len(dataset)} pictures: give FIRST:END, counted from 0."
            )
        dataset = Subset(dataset, chosen_frames)
    network = load_model(model, weights).to(choose_device(device)) if model else None
    table = evaluation.evaluate(network, dataset, metrics.split(","))
    if output:
        save_table(
            table,
            output,
            data=Path(data).name or "rendered test scenes",
            model=model,
            weights=Path(weights).name,
        )
    mean = table.drop(columns="image").mean()
    if as_json:
        print_json(
            {"model": model, "mean": records(mean.to_frame().T)[0], "images": records(table)}
        )
    else:
        typer.echo(table.round(3).to_string(index=False))
        typer.echo("mean\n" + mean.round(3).to_string())


@commands.command(epilog="Example: deblurlib check-data /data/GOPRO_Large --json")
def check_data(
    root: Annotated[Path, typer.Argument(help="Root of a data set.")], as_json: AsJson = False
):
    """Say what a data folder holds, what is missing, and how that compares with the official counts."""
    from ..data import check_data as check

    report = check(root)
    print_json(report.as_dict()) if as_json else typer.echo(report.text)
    raise typer.Exit(DONE if report.ok else FAILED if root.is_dir() else WRONG_CALL)


@commands.command(epilog="Example: deblurlib models --json")
def models(as_json: AsJson = False):
    """List the networks, their variants and their parameter counts."""
    import torch

    from ..models import count_parameters, create_model, list_models, list_variants

    with torch.device("meta"):  # shapes without numbers
        rows = [
            {
                "model": name,
                "variant": variant,
                "parameters": count_parameters(create_model(name, variant)),
            }
            for name in list_models()
            for variant in list_variants(name)
        ]
    print_json(rows) if as_json else typer.echo(as_text(rows))
