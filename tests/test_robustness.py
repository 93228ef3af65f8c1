"""A thousand seeded bad inputs: each gives one sentence, and nothing is damaged or executed."""

import contextlib
import errno
import hashlib
import io
import json
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save
from torch import nn
from typer.testing import CliRunner

from deblurlib.book import reproduce
from deblurlib.book.lesson import open_lesson
from deblurlib.cli.app import app
from deblurlib.data import PairedFolder, check_data
from deblurlib.data.pictures import FORMATS, read
from deblurlib.experiments.presets import get_preset
from deblurlib.inference import deblur
from deblurlib.inference.files import deblur_files
from deblurlib.models import create_model, load_model

# a thousand in all
PICTURES, ARRAYS, FOLDERS, CHECKPOINTS, RECORDS, PARAMETERS, CALLS = 400, 200, 100, 140, 60, 60, 40


def check_sentence(error, *names):
    """One sentence of a plain ValueError or OSError, which names the file."""
    assert type(error) is ValueError or isinstance(error, OSError), (
        f"{type(error).__name__}: {error}"
    )
    check_text(str(error), *names)


def check_text(text, *names):
    assert (
        text.strip() and "\n" not in text.strip() and "Traceback" not in text and len(text) < 700
    ), text
    assert all(name in text for name in names), text


def call(*arguments):
    """The command line in this process: an exit code, and no exception that gets through."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(
        result.exception
    )
    assert "Traceback" not in result.output
    return result


def snapshot(folder):
    """Contents and times of all files, and what links point to."""
    return {
        path: path.readlink()
        if path.is_symlink()
        else (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest())
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


# --------------------------------------------------------------------------------------------------
# Picture files


def good_pictures():
    """Contents of small good files, by suffix."""
    rng = np.random.default_rng(0)
    pixels, deep = (
        rng.integers(0, 256, (20, 28, 4), dtype=np.uint8),
        rng.integers(0, 65536, (20, 28, 3), dtype=np.uint16),
    )
    rgb, found = Image.fromarray(pixels[..., :3]), []
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Maker"
    for suffix, image, options in (
        (".png", rgb, {"exif": exif}),
        (".jpg", rgb, {"exif": exif}),
        (".webp", rgb, {}),
        (".tif", rgb, {}),
        (".bmp", rgb, {}),
        (".png", Image.fromarray(pixels), {}),
        (".png", rgb.convert("1"), {}),
        (".png", rgb.convert("P"), {}),
        (".jpg", rgb.convert("CMYK"), {}),
        (".jpg", rgb, {"progressive": True}),
        (".tif", rgb, {"compression": "tiff_lzw"}),
        (".gif", rgb, {}),
        (".png", rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        (".webp", rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        (".tif", rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
    ):
        file = io.BytesIO()
        image.save(
            file, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()), **options
        )
        found.append((suffix, file.getvalue()))
    for suffix in (".png", ".tif"):
        found.append((suffix, cv2.imencode(suffix, deep)[1].tobytes()))
    return found


def huge(rng):
    """Files that say they are enormous."""
    width, height = rng.choice([(10**5, 10**5), (2**31 - 1, 1), (1, 2**31 - 1), (60000, 60000)])
    header = struct.pack(">IIBBBBB", width, height, rng.choice([8, 16]), 2, 0, 0, 0)
    png = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    png.seek(0, io.SEEK_END)
    for kind, content in (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(b"\0" * 999)),
        (b"IEND", b""),
    ):
        PngImagePlugin.putchunk(png, kind, content)
    bmp = (
        b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        + b"\0" * 100
    )
    return rng.choice([(".png", png.getvalue()), (".bmp", bmp)])


def break_picture(rng, good):
    """(suffix, content): a file that is most likely no good picture."""
    suffix, content = rng.choice(good)
    content, kind = bytearray(content), rng.randrange(8)
    if kind == 0:
        content = content[: rng.randrange(len(content))]
    elif kind == 1:
        content[: rng.randrange(1, 12)] = rng.randbytes(6)
    elif kind == 2:
        for _ in range(rng.choice([1, 3, 30])):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 3:
        start = rng.randrange(len(content))
        content[start : start + rng.randrange(1, 200)] = b""
    elif kind == 4:
        content = rng.choice(
            [
                b"",
                b"\0" * 500,
                rng.randbytes(500),
                b"no picture",
                b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            ]
        )
    elif kind == 5:
        suffix, content = huge(rng)
    elif kind == 6:
        start = rng.randrange(len(content))
        content[start:start] = rng.randbytes(rng.randrange(1, 50))
    else:
        suffix = rng.choice(list(FORMATS))  # a good file under a false name
    return suffix, bytes(content)


def test_pictures(tmp_path):
    good = good_pictures()
    refused = 0
    for seed in range(PICTURES):
        rng = random.Random(seed)
        suffix, content = break_picture(rng, good)
        source, target = tmp_path / f"{seed} ü{suffix}", tmp_path / "out" / f"{seed}.png"
        source.write_bytes(content)
        try:
            (row,) = deblur_files(source, target, nn.Identity(), overwrite=True)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error
        if row["state"] == "failed":
            refused += 1
            check_text(row["error"], source.name)
            assert not target.exists(), seed
        else:
            assert read(target).pixels.shape[:2] == (row["height"], row["width"])
        assert source.read_bytes() == content
        source.unlink()
    assert PICTURES / 2 < refused < PICTURES
    assert all(
        path.suffix == ".png" for path in (tmp_path / "out").iterdir()
    )  # no temporary file is left


def test_things_that_are_no_files(tmp_path):
    (tmp_path / "in" / "folder.png").mkdir(parents=True)
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "dangling.png").symlink_to("nowhere")
    Image.new("RGB", (20, 20)).save(tmp_path / "in" / "good.png")
    rows = deblur_files(tmp_path / "in", tmp_path / "out", nn.Identity())
    assert {Path(row["input"]).name: row["state"] for row in rows} == {
        "pipe.png": "failed",
        "dangling.png": "failed",
        "good.png": "done",
    }
    check_text(rows[0]["error"], "dangling.png")
    report = check_data(tmp_path / "in")
    assert sorted(report.splits[0].unreadable) == ["dangling.png", "pipe.png"]


# --------------------------------------------------------------------------------------------------
# Arrays


def random_array(rng):
    """An array that may or may not be a picture."""
    rank = rng.choice([0, 1, 2, 2, 3, 3, 3, 4, 5])
    shape = [rng.choice([0, 1, 2, 5, 20]) for _ in range(rank)]
    if rank == 3 and rng.random() < 0.7:
        shape[2] = rng.choice([1, 2, 3, 4])
    dtype = rng.choice(
        [
            "u1",
            "u2",
            ">u2",
            "f2",
            "f4",
            "f8",
            "i1",
            "i2",
            "i8",
            "u4",
            "u8",
            "?",
            "c8",
            "O",
            "U3",
            "S4",
            "M8[s]",
            "V7",
        ]
    )
    array = np.zeros(shape, dtype)
    if array.dtype.kind == "f" and array.size:
        array[...] = rng.choice([0.5, 1.0, 1.0, -1.0, 2.0, 255.0, np.nan, np.inf, -np.inf, -1e-9])
        if rng.random() < 0.3:
            array = np.broadcast_to(array, shape)
    return array


def is_picture(array):
    shape_fits = array.ndim == 2 or (array.ndim in (3, 4) and array.shape[-1] in (1, 2, 3, 4))
    dtype_fits = array.dtype in (np.uint8, np.uint16) or (
        array.dtype.kind == "f"
        and np.isfinite(array).all()
        and array.size
        and array.min() > -1e-3
        and array.max() < 1.001
    )
    return shape_fits and array.size > 0 and bool(dtype_fits)


def test_arrays():
    pictures = 0
    for seed in range(ARRAYS):
        array = random_array(random.Random(seed))
        if is_picture(array):
            pictures += 1
            result = deblur(array, nn.Identity())
            assert (result.shape, result.dtype) == (array.shape, array.dtype), seed
        else:
            with pytest.raises(ValueError) as raised:
                deblur(array, nn.Identity())
            check_sentence(raised.value, "image")
    assert 10 < pictures < ARRAYS / 2


# --------------------------------------------------------------------------------------------------
# Folders

NAMES = [
    "blur",
    "sharp",
    "blur_gamma",
    "input",
    "target",
    "GT",
    "train",
    "test",
    "val",
    "train_blur",
    "train_sharp",
    "a b",
    "写真 é",
    "x" * 200,
    "line\nbreak",
    "GOPR0001_00_00",
]


def random_tree(rng, root):
    """A folder of nonsense: nested folders, files under folders' names, circles of links."""
    root.mkdir()
    places = [root]
    for _ in range(rng.randrange(12)):
        place, name = rng.choice(places), rng.choice(NAMES)
        path, kind = place / name, rng.randrange(6)
        with contextlib.suppress(FileExistsError, OSError):
            if kind <= 2:
                path.mkdir()
                places.append(path)
            elif kind == 3:
                path.write_bytes(rng.randbytes(9))
            elif kind == 4:
                path.symlink_to(rng.choice([root, place, "nowhere", path.name]))
            else:
                stem, suffix = rng.choice(["000001", "1", "é", "a b"]), ["png", "jpg", "PNG"]
                picture = place / f"{stem}.{rng.choice(suffix)}"
                if rng.random() < 0.5:
                    picture.write_bytes(rng.randbytes(30))
                else:
                    Image.new("RGB", (rng.choice([16, 20]), 16)).save(picture)


def test_folders(tmp_path):
    for seed in range(FOLDERS):
        rng, root = random.Random(seed), tmp_path / str(seed)
        random_tree(rng, root)
        before = snapshot(root)
        try:
            report = check_data(root)
            assert not report.error or str(root) in report.error
            with contextlib.suppress(OSError, ValueError):
                splits = {split.split for split in report.splits}
                pairs = PairedFolder(
                    root, "all" if len(splits) > 1 else None, rng.choice([None, "blur"])
                )
                pairs[0]
            deblur_files(root, tmp_path / "out" / str(seed), nn.Identity())
        except (OSError, ValueError) as error:
            check_sentence(error)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error
        assert snapshot(root) == before, seed


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")

    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(os, "scandir", refuse)
    for command in (
        ["check-data", tmp_path],
        ["evaluate", tmp_path],
        ["deblur", tmp_path, "-o", tmp_path / "out"],
    ):
        result = call(*command)
        assert result.exit_code == 1 and "Permission denied" in result.output


# --------------------------------------------------------------------------------------------------
# Weights


class Bomb:
    """Says by a folder that it was executed."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Good weights of a tiny network, as safetensors, .pth and .npz."""
    torch.manual_seed(0)
    state = create_model("svdn", "dilated", size="small", width=4, blocks=1).state_dict()
    buffer, arrays = io.BytesIO(), io.BytesIO()
    torch.save(state, buffer)
    np.savez(arrays, **{key: value.numpy() for key, value in state.items()})
    return state, {
        ".safetensors": save(state),
        ".pth": buffer.getvalue(),
        ".npz": arrays.getvalue(),
    }


RECIPE = {
    "name": "svdn",
    "variant": "dilated",
    "size": "small",
    "overrides": {"width": 4, "blocks": 1},
}


def lying_header(rng, content):
    """A safetensors file whose header does not say what is there."""
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    entry, kind = (
        header[rng.choice([name for name in header if name != "__metadata__"])],
        rng.randrange(8),
    )
    if kind == 0:
        return struct.pack("<Q", rng.choice([0, 1, length - 1, 2**31, 2**40, 2**63])) + content[8:]
    if kind == 1:
        entry["data_offsets"] = rng.choice(
            [[0, 10**9], [10**12, 10**12 + 4], [8, 0], [-4, 0], [0, 4], [0.5, 1], "all", None]
        )
    elif kind == 2:
        entry["shape"] = rng.choice([[10**9, 10**9], [-1], [0], [], "x", None, [2**63]])
    elif kind == 3:
        entry["dtype"] = rng.choice(["F64", "I8", "BOOL", "XYZ", 7, None])
    elif kind == 4:
        header = rng.choice([[], {}, "text", 5, None, {"a": 5}])
    elif kind == 5:
        entry.clear()
    elif kind == 6:
        header = {f"{name}x": value for name, value in header.items()}
    text = json.dumps(header).encode()
    text = text[: rng.randrange(len(text))] if kind == 7 else text
    return struct.pack("<Q", len(text)) + text + data


def other_states(rng, state, bomb):
    """The content of a .pth that is no state of this network."""
    key = rng.choice(list(state))
    holds = rng.choice(
        [
            {**state, key: torch.full_like(state[key], float("nan"))},
            {**state, key: state[key].flatten()[:1]},
            {**state, key: state[key].to(torch.int8)},
            {**state, key: 5},
            {**state, key: None},
            {**state, "extra": torch.zeros(1)},
            {},
            [1, 2],
            5,
            None,
            "text",
            {"state_dict": 5},
            {"state_dict": {"a": 1}},
            {1: torch.zeros(1)},
            {"deblurring_state_dict": 7},
            {"conve1_1.0": torch.zeros(1)},
            {**state, key: state[key].to_sparse()},
            create_model("aspdc", size="small").state_dict(),
            {**state, key: torch.full_like(state[key], float("inf"))},
        ]
    )
    buffer = io.BytesIO()
    if rng.random() < 0.2:
        return pickle.dumps(Bomb(bomb))
    torch.save({**state, "bomb": Bomb(bomb)} if rng.random() < 0.1 else holds, buffer)
    return buffer.getvalue()


def break_weights(rng, state, contents, bomb):
    suffix = rng.choice(list(contents))
    content, kind = bytearray(contents[suffix]), rng.randrange(6)
    if kind == 0:
        content = content[: rng.randrange(len(content))]
    elif kind == 1:
        for _ in range(rng.choice([1, 5, 100])):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 2:
        content[:8] = rng.randbytes(8)
    elif kind == 3:
        suffix, content = ".safetensors", lying_header(rng, contents[".safetensors"])
    elif kind == 4:
        suffix, content = ".pth", other_states(rng, state, bomb)
    else:
        suffix, content = (
            rng.choice(list(contents)),
            rng.choice([b"", b"text", rng.randbytes(300), contents[".npz"]]),
        )
    return suffix, bytes(content)


@pytest.mark.filterwarnings("ignore")
def test_checkpoints(tmp_path, weights):
    state, contents = weights
    bomb, refused = tmp_path / "exploded", 0
    for seed in range(CHECKPOINTS):
        suffix, content = break_weights(random.Random(seed), state, contents, str(bomb))
        path = tmp_path / f"{seed}{suffix}"
        path.write_bytes(content)
        path.with_suffix(".json").write_text(json.dumps({"recipe": RECIPE}))
        try:
            network = load_model("svdn", path)
        except (ValueError, OSError) as error:
            refused += 1
            check_sentence(error, path.name)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error
        else:
            assert all(torch.isfinite(parameter).all() for parameter in network.parameters()), seed
        assert not bomb.exists() and path.read_bytes() == content, seed
    assert refused > CHECKPOINTS / 2


def break_record(rng):
    """A JSON beside good weights that says something else."""
    recipe, kind = json.loads(json.dumps(RECIPE)), rng.randrange(5)
    if kind == 0:
        del recipe[rng.choice(list(recipe))]
    elif kind == 1:
        recipe[rng.choice(list(recipe))] = rng.choice([None, 5, [], {}, "x", ["svdn"], True])
    elif kind == 2:
        recipe["overrides"] = {
            rng.choice(["width", "blocks", "dilations", "neck", "nothing"]): rng.choice(
                [-1, 0, "x", None, [], 10**6, 1.5, [1, 2], {}]
            )
        }
    elif kind == 3:
        text = json.dumps({"recipe": recipe})
        return text[: rng.randrange(len(text))]
    else:
        return rng.choice(
            [
                "[]",
                "5",
                "null",
                '"x"',
                '{"recipe": []}',
                '{"recipe": 5}',
                '{"recipe": {}}',
                "\ud83d".encode("utf-16", "surrogatepass").decode("latin-1"),
                "{}",
            ]
        )
    return json.dumps({"recipe": recipe})


def test_records_beside_weights(tmp_path, weights):
    _, contents = weights
    path = tmp_path / "weights.safetensors"
    path.write_bytes(contents[".safetensors"])
    for seed in range(RECORDS):
        path.with_suffix(".json").write_text(break_record(random.Random(seed)), encoding="utf-8")
        try:
            load_model("svdn", path)
        except (ValueError, OSError) as error:
            check_sentence(error)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {path.with_suffix('.json').read_text()}") from error


# --------------------------------------------------------------------------------------------------
# Parameters of notebooks, options of commands

WRONG = {
    "preset": ["", "Smoke", "huge", None, 5, [], "smoke ", b"smoke"],
    "data": ["no/where", "\0", "x" * 300, "/dev/null", 5, ["a"]],
    "seed": ["x", -1, 2**70, 1.5, None, [], "7x"],
    "device": ["gpu", "cuda:99", 5, "", None, "cpu,cuda"],
    "results": ["\0", "/dev/null/x", 5],
}


def test_parameters_of_notebooks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in range(PARAMETERS):
        rng = random.Random(seed)
        name = rng.choice(list(WRONG))
        value = rng.choice(WRONG[name])
        parameters = {"preset": "smoke", "results": str(tmp_path / "results"), name: value}
        try:
            if rng.random() < 0.5:
                open_lesson("01", **parameters)
            elif name == "preset":
                get_preset(value)
            else:
                parameters.pop("device", None)
                reproduce.run(**parameters, notebooks=str(tmp_path / "none"))
        except (ValueError, OSError) as error:
            check_sentence(error)
        except BaseException as error:
            raise AssertionError(f"{name}={value!r}") from error
    assert not list(tmp_path.rglob("*.ipynb"))


CALLS_WRONG = """
check-data {empty}
check-data {file}
check-data {junk} --json
check-data
evaluate {empty}
evaluate {file}
evaluate {junk}
evaluate {pairs} --metrics psnr
evaluate {pairs} --metrics ,
evaluate {pairs} --frames a:b
evaluate {pairs} --frames 9
evaluate {pairs} --frames 99:
evaluate {pairs} --split val
evaluate {pairs} --variant blur_gamma
evaluate {pairs} --model svdm
evaluate {pairs} --model radn_baseline
evaluate {pairs} --weights {file}
evaluate {pairs} --device x
evaluate {pairs} --output /dev/null/x.csv
evaluate --variant sharp
evaluate --preset tiny
train svdm
train svdn --variant x
train svdn --size tiny
train svdn --steps -1
train svdn --preset x
train svdn --photos {empty}
train svdn --real {empty}
train svdn --precision 8
train svdn --device gpu
train svdn --accumulate 3
train svdn --ema 2
train svdn_table2:x
train x:y
sweep x
sweep svdn_table2 --preset x
reproduce --preset x
reproduce --notebooks 99
refresh --notebooks 99
nothing
""".strip().splitlines()


def test_calls(tmp_path, monkeypatch):
    assert len(CALLS_WRONG) == CALLS
    monkeypatch.setenv("DEBLURLIB_RESULTS", str(tmp_path / "results"))
    places = {name: tmp_path / name for name in ("empty", "file", "junk", "pairs")}
    places["empty"].mkdir()
    places["file"].write_text("no data")
    random_tree(random.Random(5), places["junk"])
    for kind in ("blur", "sharp"):
        (places["pairs"] / "A" / kind).mkdir(parents=True)
        Image.new("RGB", (24, 24), 77).save(places["pairs"] / "A" / kind / "000001.png")
    before = snapshot(tmp_path)
    for arguments in CALLS_WRONG:
        result = call(*(argument.format(**places) for argument in arguments.split()))
        assert result.exit_code in (1, 2), arguments
        usage = result.stderr.startswith("Usage")  # typer's own words, in a frame
        if result.stderr and not usage:
            check_text(result.stderr)
    left = {path: value for path, value in snapshot(tmp_path).items() if path not in before}
    assert {path: value for path, value in snapshot(tmp_path).items() if path in before} == before
    assert not [path for path in left if path.suffix != ".lock"], left


# --------------------------------------------------------------------------------------------------
# Faults


@pytest.fixture
def two_pictures(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), 99).save(tmp_path / "in" / name)
    return tmp_path


@pytest.mark.parametrize("where", ["fsync", "link"])
def test_a_full_disk_leaves_what_was_finished_and_no_part_of_the_rest(
    two_pictures, where, monkeypatch
):
    real, calls = getattr(os, where), []

    def fill(*arguments, **options):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(os, where, fill)
    if where == "link":  # a file system without hard links renames, which needs space as well
        monkeypatch.setattr(os, "replace", fill)
    result = call("deblur", two_pictures / "in", "-o", two_pictures / "out")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr and "b.png" in result.stderr
    assert [path.name for path in (two_pictures / "out").iterdir()] == ["a.png"]


@pytest.fixture
def ctrl_c():
    """SIGINT interrupts, even if a background shell ignores it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_what_was_finished_and_no_part_of_the_rest(two_pictures, monkeypatch):
    calls = []

    def interrupt(network, window, rows, columns):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return np.zeros((*window[rows, columns].shape[:2], 3), np.float32)

    monkeypatch.setattr("deblurlib.inference.deblurring.run_window", interrupt)
    result = call("deblur", two_pictures / "in", "-o", two_pictures / "out")
    assert result.exit_code == 130 and "finished work is kept" in result.stderr
    assert [path.name for path in (two_pictures / "out").iterdir()] == ["a.png"]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs a limit of the address space"
)
def test_too_little_memory_is_one_sentence_and_auto_does_with_what_there_is(tmp_path):
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    ).save(tmp_path / "in.png")
    script = f"""if True:
        import resource, torch
        from pathlib import Path
        from deblurlib.inference.files import deblur_files
        torch.set_num_threads(1)
        from torch import nn
        network = nn.Sequential(nn.Conv2d(3, 256, 1), nn.ReLU(), nn.Conv2d(256, 3, 1))
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 900 * 2**20,) * 2)
        for tile in (0, "auto"):
            output = f"{tmp_path}/{{tile}}.png"
            (row,) = deblur_files("{tmp_path}/in.png", output, network, tile=tile)
            print(row["state"], row["error"])
    """
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=500
    )
    assert shown.returncode == 0, shown.stderr[-2000:]
    whole, auto = shown.stdout.strip().splitlines()
    assert whole.startswith("failed ")
    assert (
        "Deblurring 1200 x 1200 pixels in tiles of 1200 pixels needs more memory than is available"
        in whole
    )
    assert auto == "done None"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auto.png", "in.png"]
