"""Weights in a folder or on the Hugging Face Hub, which a stand-in plays here."""

import sys
from types import SimpleNamespace

import pytest
import torch

from deblurlib.models import create_model, from_pretrained, push_to_hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub in a folder."""

    class Api:
        def create_repo(self, repository, private, exist_ok):
            (tmp_path / repository).mkdir(parents=True)

        def upload_folder(self, repo_id, folder_path):
            for file in __import__("pathlib").Path(folder_path).iterdir():
                (tmp_path / repo_id / file.name).write_bytes(file.read_bytes())

    def download(repository, name, revision):
        return str(tmp_path / repository / name)

    monkeypatch.setitem(
        sys.modules, "huggingface_hub", SimpleNamespace(HfApi=Api, hf_hub_download=download)
    )
    return tmp_path


def test_what_is_pushed_comes_back_the_same(hub):
    torch.manual_seed(0)
    model, x = (
        create_model("svdn", "dilated", size="small", blocks=1).eval(),
        torch.rand(1, 3, 20, 24),
    )
    assert push_to_hub(model, "somebody/sharp", {"steps": 3}).endswith("somebody/sharp")
    for source in ("somebody/sharp", hub / "somebody" / "sharp"):
        again = from_pretrained(source)
        assert again.recipe == model.recipe and torch.equal(again(x), model(x))
    assert 'from_pretrained("somebody/sharp")' in (hub / "somebody/sharp/README.md").read_text()


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (
        lambda: from_pretrained("somebody/sharp"),
        lambda: push_to_hub(torch.nn.Identity(), "somebody/sharp", {}),
    ):
        with pytest.raises(ImportError, match="needs the package huggingface_hub: install it with"):
            call()


def test_a_folder_without_a_record_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no model.json"):
        from_pretrained(tmp_path)
    (tmp_path / "model.json").write_text('{"recipe": {"name": "svdn"}}')
    with pytest.raises(ValueError, match=r"model.json, the record of a network, is damaged"):
        from_pretrained(tmp_path)
