"""The same rows in every form of the pages."""

import hashlib
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from built_sets import NUM_SHORT, documents, sets

from mmprolong_hf.hub.dataset_files import read_built_set
from mmprolong_hf.hub.dataset_pages import check_forms, publish_folder, shards_of
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


@pytest.fixture
def images(tmp_path):
    return read_built_set(shutil.copytree(sets().images, tmp_path / "images"))


@pytest.fixture
def compact(tmp_path):
    return read_built_set(shutil.copytree(sets().pdf, tmp_path / "compact"))


def rows(shards):
    return [row for split in ("train", "test") for path in shards[split] for row in pq.read_table(path).to_pylist()]


def digests(shards):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for paths in shards.values() for path in paths]


def test_the_folder_gives_its_own_form_as_it_is(images, compact):
    for built in (images, compact):
        assert shards_of(built, built.store, None) == {
            split: list(files.paths) for split, files in built.parts["data"].items()
        }
        assert not publish_folder(built.folder).exists()


def test_pdfs_and_images_are_two_forms_of_the_same_rows(images, compact):
    """Page for page the same bytes, and both as a build writes them."""
    as_pdf, as_images = shards_of(images, "pdf", sets().listed), shards_of(compact, "images", None)
    assert rows(as_pdf) == documents(compact.folder) != documents(images.folder)
    assert rows(as_images) == documents(images.folder)
    assert sum(bool(row["pdf"]) for row in rows(as_pdf)) == len(rows(as_pdf)) - NUM_SHORT
    assert [row["doc_id"] for row in rows(as_pdf) if row["images"]] == [
        row["doc_id"] for row in rows(as_pdf) if not row["engine"]
    ]  # short samples keep their images
    assert pq.read_schema(as_pdf["test"][0]).equals(DOCUMENT_FEATURES.arrow_schema)


def test_references_hold_nothing_of_the_pages(images, compact):
    for built in (images, compact):
        found = rows(shards_of(built, "references", None))
        whole = documents(built.folder)
        assert [row | {"images": [], "pdf": None} for row in whole] == found
        assert any(row["images"] or row["pdf"] for row in whole)
        assert found[0]["url"] == "https://example.org/report1.pdf"


def test_the_same_set_gives_the_same_bytes_and_is_written_once(images):
    first = shards_of(images, "references", None)
    before, times = digests(first), [path.stat().st_mtime_ns for paths in first.values() for path in paths]
    again = shards_of(images, "references", None)
    assert [path.stat().st_mtime_ns for paths in again.values() for path in paths] == times
    shutil.rmtree(publish_folder(images.folder))
    assert digests(shards_of(images, "references", None)) == before
    assert digests(shards_of(images, "pdf", sets().pdfs)) != before


def test_what_a_killed_process_wrote_is_kept_by_whole_shards(images):
    first = shards_of(images, "references", None)
    kept, lost = first["train"][0], first["test"][0]
    when, content = kept.stat().st_mtime_ns, lost.read_bytes()
    partial = lost.parent.with_name(f".{lost.parent.name}.99999999.partial")
    lost.parent.rename(partial)
    again = shards_of(images, "references", None)
    assert again == first
    assert kept.stat().st_mtime_ns == when
    assert lost.read_bytes() == content
    assert not partial.exists()


def test_a_set_that_was_built_again_is_written_again(images):
    first = shards_of(images, "references", None)
    path = images.folder / "data" / "test-00000-of-00001.parquet"
    table = pq.read_table(path).to_pylist()
    table[0]["title"] = "Another"
    pq.write_table(pa.Table.from_pylist(table, schema=DOCUMENT_FEATURES.arrow_schema), path)
    again = shards_of(read_built_set(images.folder), "references", None)
    assert again["train"] == first["train"]
    assert rows(again)[-1]["title"] == "Another"
    assert not first["test"][0].exists()


def test_a_place_that_cannot_be_written_is_named(images):
    publish_folder(images.folder).touch()
    with pytest.raises(ValueError, match=r"rows with references are written to .*\.publish, and .*; give it room"):
        shards_of(images, "references", None)


def test_missing_pdfs_are_counted_and_named(images, tmp_path):
    with pytest.raises(ValueError, match=r"pages names pdf, and .*images holds images; name the folder or list"):
        shards_of(images, "pdf", None)
    some = shutil.copytree(sets().pdfs, tmp_path / "some")
    (some / "report2.pdf").unlink()
    with (some / "report1.pdf").open("ab") as file:
        file.write(b"\n")  # another file now
    with pytest.raises(
        ValueError, match=r"2 of 3 PDFs are not in .*some: report1\.pdf \(sha256 \w{64}\), report2\.pdf"
    ):
        shards_of(images, "pdf", some)
    assert not list(publish_folder(images.folder).glob("pdf-*"))


def test_pages_are_not_drawn_by_another_version(compact):
    path = compact.folder / "data" / "test-00000-of-00001.parquet"
    table = pq.read_table(path).to_pylist()
    table[0]["engine"] = "pymupdf 1.0.0"
    pq.write_table(pa.Table.from_pylist(table, schema=DOCUMENT_FEATURES.arrow_schema), path)
    with pytest.raises(
        ValueError, match=r"are those of pymupdf 1\.0\.0, and .* is installed.*install pymupdf==1\.0\.0"
    ):
        shards_of(read_built_set(compact.folder), "images", None)


@pytest.mark.parametrize("pages", [("pngs",), ("images", "images")])
def test_unknown_forms_and_forms_named_twice(pages):
    match = re.escape(f"pages is {', '.join(pages)}; expected each at most once of images, pdf, references")
    with pytest.raises(ValueError, match=match):
        check_forms(pages)
