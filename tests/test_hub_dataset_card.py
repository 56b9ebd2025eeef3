"""The card tells what is published, to `load_dataset` and to people."""

from dataclasses import replace

import pytest
import yaml
from built_sets import sets

from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.dataset import plan_dataset
from mmprolong_hf.hub.dataset_card import dataset_card, restored_card
from mmprolong_hf.hub.dataset_files import read_built_set


def card_of(*pages, folder=None, **options):
    return plan_dataset(folder or sets().images, "me/reports", pages=pages, pdfs=sets().pdfs, **options).card


def test_the_repository_is_named_everywhere():
    built = read_built_set(sets().images).card
    card = card_of()
    assert str(built).count("PATH_OR_ID") == str(card).count("me/reports") > 3
    assert "PATH_OR_ID" not in str(card)
    assert built == read_built_set(sets().images).card  # the folder's own stays as it is


def test_only_what_is_published_is_a_config():
    def names(card):
        return [entry["config_name"] for entry in card.metadata["configs"]]

    others = ["questions", "rejected", "elements"]
    assert names(card_of("images", "references")) == ["default", "references", *others]
    assert names(card_of("pdf", "images")) == ["pdf", "images", *others]
    assert names(card_of("references")) == ["references", "questions", "rejected"]
    assert [entry.get("default") for entry in card_of("pdf", "images").metadata["configs"]] == [True] + [None] * 4
    for card in (card_of("pdf", "images"), card_of("references")):
        assert {entry["config_name"] for entry in card.metadata["dataset_info"]} == set(names(card))
        for entry in card.metadata["configs"]:
            assert "(build " in entry["description"]


def test_the_statistics_are_those_of_the_files():
    plan = plan_dataset(sets().images, "me/reports")
    text = plan.card.sections["Configs"]
    size = sum(path.stat().st_size for name, path in plan.files.items() if name.endswith(".parquet"))
    assert f"Parquet files of {size:,} bytes" in text
    assert "5 documents with" in text
    assert f"| `default` | train 4, test 1 | {plan.configs[0].file_bytes:,} | one document with all its pages" in text
    info = {entry["config_name"]: entry for entry in plan.card.metadata["dataset_info"]}["default"]
    assert info["download_size"] == plan.configs[0].file_bytes
    assert [split["num_examples"] for split in info["splits"]] == [4, 1]


def test_each_form_of_the_pages_is_told():
    def told(*pages):
        card = card_of(*pages)
        return " ".join((card.sections["Configs"] + card.sections[""]).split())

    quotes, short = (
        "No page and no PDF of the source documents is published",
        "Short samples of other datasets have no PDF",
    )
    assert "`default` holds every page as an encoded image" in told("images")
    assert "Each row of the `default` config" in told("images")
    assert "`pdf` holds the documents as their PDFs" in told("pdf")
    assert "Each row of the `pdf` config" in told("pdf")
    assert "`mmprolong restore me/reports PDFS OUTPUT`" in told("references")
    assert [quotes in told(*pages) for pages in (("references",), ("references", "pdf"))] == [True, False]
    assert [short in told(*pages) for pages in (("images",), ("pdf",), ("references",))] == [False, True, True]


def test_training_code_that_reads_images_says_where_they_are():
    """Whatever the folder's own card says above it."""

    def training(*pages, folder=None):
        return card_of(*pages, folder=folder).sections["Training with TRL"].split("TRL's own")[0]

    for folder in (sets().images, sets().pdf):
        assert not training("images", folder=folder).strip()
        assert "No page images are published here" in training("pdf", folder=folder)
        assert "No page images are published here" in training("references", folder=folder)
        assert 'load_dataset("me/reports", "images"' in training("pdf", "images", folder=folder)
    assert card_of("images").sections["Training with TRL"].count("TRL's own `SFTTrainer`") == 1


def test_transcriptions_are_told_where_nothing_else_of_the_pages_is_published():
    built = read_built_set(sets().images)
    told = "2 answers (tasks ocr-full and ocr-needle) are the text of whole pages"
    configs = plan_dataset(sets().images, "me/reports").configs
    for count, pages in ((0, "references"), (2, "references"), (2, "images")):
        report = built.report | {"questions": built.report["questions"] | {"ocr-full": count}}
        card = dataset_card(replace(built, report=report), "me/reports", configs, {pages: "default"}, None)
        assert (told in card.sections["Configs"]) == (count == 2 and pages == "references")


def test_a_section_that_the_user_wrote_stays():
    built = read_built_set(sets().images)
    built.card.sections["Thanks"] = "\nTo all who wrote reports.\n"
    del built.card.sections["Training with TRL"]
    configs = plan_dataset(sets().images, "me/reports").configs
    card = dataset_card(built, "me/reports", configs, {"images": "default"}, None)
    assert list(card.sections) == list(built.card.sections)
    assert card.sections["Thanks"] == built.card.sections["Thanks"]


def test_a_card_and_its_text_are_the_same():
    card = card_of("pdf", "images", "references")
    again = Card.parse(str(card))
    assert (again.metadata, again.sections) == (card.metadata, card.sections)
    assert yaml.safe_load(yaml.safe_dump(card.metadata)) == card.metadata


@pytest.mark.parametrize("pages", ["images", "references"])
def test_a_restored_set_has_a_folders_card_again(pages):
    """So that it can be published like one that was built."""
    published = card_of(pages)
    published.sections["Others"] = "me/reports-pdf, some/reports; https://huggingface.co/datasets/me/reports."
    card = restored_card(published, "me/reports", {"data": ["train"], "rejected": ["train"]}, "0" * 12, (3, 5))
    assert "with the PDFs of 3 of its 5 documents" in " ".join(card.sections["Configs"].split())
    others = "me/reports-pdf, some/reports; https://huggingface.co/datasets/PATH_OR_ID."
    assert card.sections.pop("Others") == others
    assert "me/reports" not in str(card).replace("Restored from me/reports", "")
    assert "PATH_OR_ID" in card.sections[""]
    assert "Each row of the `default` config" in card.sections[""]
    assert "dataset_info" not in card.metadata
    assert card.metadata["configs"][0] == {
        "config_name": "default",
        "default": True,
        "description": "One row is one document with all its pages and questions (build 000000000000)",
        "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
    }
