"""PDFs are found by their bytes."""

import hashlib
import json

import pytest

from mmprolong_hf.hub.dataset_documents import find_documents


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    for name, text in (("a.pdf", "one"), ("deep/b.PDF", "two"), ("z/wanted.pdf", "three"), ("notes.txt", "four")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_names_do_not_matter(folder):
    wanted = {digest("two"): "x.pdf", digest("three"): "y.pdf", digest("four"): "notes.txt", digest("none"): "a.pdf"}
    found = find_documents(folder, wanted)
    assert {key: path.name for key, path in found.items()} == {digest("two"): "b.PDF", digest("three"): "wanted.pdf"}


def test_files_of_the_wanted_names_come_first_and_the_rest_is_not_opened(folder):
    (folder / "a.pdf").unlink()
    (folder / "a.pdf").symlink_to("/proc/self/mem")  # a file that nobody can read from its beginning
    assert find_documents(folder, {digest("three"): "old/wanted.pdf"}) == {
        digest("three"): folder / "z" / "wanted.pdf"
    }
    with pytest.raises(OSError, match="Input/output error"):
        find_documents(folder, {digest("three"): "other.pdf"})


def test_a_list_may_name_files_that_are_gone(folder):
    lines = [json.dumps({"path": name}) for name in ("gone.pdf", "deep/b.PDF")]
    (folder / "list.jsonl").write_text("\n".join(lines))
    assert list(find_documents(folder / "list.jsonl", {digest("two"): "gone.pdf", digest("one"): "a.pdf"})) == [
        digest("two")
    ]
    with pytest.raises(ValueError, match="is not a folder, nor a list of paths"):
        find_documents(folder / "nowhere", {digest("two"): ""})
