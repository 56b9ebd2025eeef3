"""The metadata of a card, as the Hub spells it."""

import pytest
import yaml

from mmprolong_hf.synthesis.card_metadata import license_metadata, set_metadata, size_category
from mmprolong_hf.synthesis.report import BuildReport
from mmprolong_hf.synthesis.short_context import SHORT_TASK

LINK = "https://huggingface.co/datasets/PATH_OR_ID#licences"


@pytest.mark.parametrize(
    ("told", "license_"),
    [("cc-by-4.0", "cc-by-4.0"), ("CC BY-SA 4.0", "cc-by-sa-4.0"), ("MIT", "mit"), ("openrail++", "openrail++")],
)
def test_the_licence_of_all_documents_is_the_sets(told, license_):
    assert license_metadata({told: 3}) == {"license": license_}


def test_two_spellings_are_one_licence():
    assert license_metadata({"CC BY 4.0": 3, "cc-by-4.0": 1}) == {"license": "cc-by-4.0"}


@pytest.mark.parametrize("licenses", [{}, {"": 2}, {"MIT": 3, "": 1}, {"MIT": 1, "cc-by-4.0": 1}])
def test_several_licences_and_unknown_ones_are_other(licenses):
    name = "licences-of-the-source-documents"
    assert license_metadata(licenses) == {"license": "other", "license_name": name, "license_link": LINK}


def test_a_licence_that_the_hub_does_not_know_keeps_its_name():
    found = license_metadata({"Open Government Licence v3": 3})
    assert found == {"license": "other", "license_name": "open-government-licence-v3", "license_link": LINK}


def test_short_samples_have_other_licences():
    report = BuildReport("set", rows={"train": 5}, licenses={"MIT": 2})
    assert yaml.safe_load(set_metadata(report))["license"] == "mit"
    report.short = {SHORT_TASK: 3}
    assert yaml.safe_load(set_metadata(report))["license"] == "other"
    report.short = {"duplicate": 3}  # none was taken
    assert yaml.safe_load(set_metadata(report))["license"] == "mit"


@pytest.mark.parametrize(
    ("languages", "expected"),
    [({}, ["en"]), ({"de": 1, "und": 2, "": 3}, ["de", "en"]), ({"no": 1}, ["en", "no"])],
)
def test_languages_are_those_of_the_documents_and_of_the_questions(languages, expected):
    assert yaml.safe_load(set_metadata(BuildReport("set", languages=languages)))["language"] == expected


@pytest.mark.parametrize(
    ("rows", "word"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (9_999, "1K<n<10K"), (10**9, "1B<n<10B"), (10**12, "n>1T")],
)
def test_sizes(rows, word):
    assert size_category(rows) == word
