"""Commands that turn films into data sets and networks into files: make-pairs, export."""

import re
from pathlib import Path
from typing import Annotated

import typer

from ..wording import counted
from .shared import AsJson, ExitCode, given, print_json

commands = typer.Typer()


@commands.command(
    epilog="Example: deblurlib make-pairs ride.mp4 -o pairs/ --frames 7..13 --variant blur_gamma"
)
def make_pairs(
    videos: Annotated[list[Path], typer.Argument(help="High-speed films, or folders of films.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Root of the new data set.")],
    frames: Annotated[
        str,
        typer.Option(
            help="Frames to average, such as 11, or 7..13: each sequence draws an odd number."
        ),
    ] = "7..13",
    variant: Annotated[
        str, typer.Option(help="blur averages levels, blur_gamma averages light.")
    ] = "blur",
    split: Annotated[
        str | None, typer.Option(help="train, val or test; default: a data set without splits.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the numbers of frames.")] = 0,
    flow: Annotated[
        bool,
        typer.Option("--flow", help="Also write the flow to the ends of each exposure (.flo)."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make pairs of blurry and sharp images from high-speed films, as those of GoPro were made.

    The blurry image is the mean of successive frames, the sharp one the frame in the middle.
    Existing pairs are kept, so the same command continues after an interruption.
    """
    from ..data import pairs

    if not re.fullmatch(r"\d+(\.\.\d+)?", frames):
        raise ValueError(f"--frames is {frames!r}: give a number or a range, such as 7..13.")
    first, _, last = frames.partition("..")
    rows = pairs.make_pairs(
        videos,
        output,
        (int(first), int(last or first)),
        variant,
        seed=seed,
        flow=flow,
        **given(split=split),
    )
    if as_json:
        print_json({"output": str(output), "variant": variant, "films": rows})
    else:
        typer.echo(f"{counted(sum(row['pairs'] for row in rows), 'pair')} in {output}.")
    for row in rows:
        if row["error"] is not None:
            typer.secho(row["error"], fg="red", err=True)
        elif (row["step"] or 0) > pairs.LONGEST_STEP:
            typer.echo(
                f"{row['video']} moves by {row['step']} pixels from frame to frame: its averages "
                "show copies rather than blur, so record it at a higher rate.",
                err=True,
            )
    failed = any(row["state"] == "failed" for row in rows)
    raise typer.Exit(ExitCode.FAILURE if failed else ExitCode.SUCCESS)


@commands.command(epilog="Example: deblurlib export svdn svdn.onnx --size 720x1280")
def export(
    model: Annotated[str, typer.Argument(help="Network; see `deblurlib models`.")],
    output: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    size: Annotated[
        str, typer.Option(help="Height and width of the images that the file accepts.")
    ] = "256x256",
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped weights.")
    ] = "default",
    native: Annotated[
        bool,
        typer.Option(
            "--native",
            help="Use DeformConv (ONNX Runtime); default: GridSample (OpenCV, OpenVINO, and all).",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a network as an ONNX file, for runtimes without PyTorch.

    Its input "blurry" and its output "sharp" are (1, 3, height, width) RGB in [0, 1].
    """
    from ..inference import resolve_network
    from ..inference.onnx_export import to_onnx
    from ..models import load_model
    from ..storage import check_writable

    if output.suffix.lower() != ".onnx":
        raise ValueError(f"{output} does not end in .onnx: give the name of an ONNX file.")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists: choose another name, or replace it with --overwrite.")
    if not re.fullmatch(r"\d+x\d+", size):
        raise ValueError(f"--size is {size!r}: give HEIGHTxWIDTH, such as 720x1280.")
    check_writable(output.parent)
    network = resolve_network(model, "cpu") if weights == "default" else load_model(model, weights)
    height, width = map(int, size.split("x"))
    to_onnx(network, output, (height, width), native=native)
    if as_json:
        print_json({"output": str(output), "model": model, "size": [height, width]})
    else:
        typer.echo(f"{output}: {model}, {output.stat().st_size / 1e6:.1f} MB")
