"""A card on the Hub: what is generated is replaced, what a person has written stays."""

import copy
import random

import pytest

from mmprolong_hf.hub.card import Card, digests, merge

TEXT = """---
license: other
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---

# A set

Some words.

## How it was built

```bash
## no heading: a comment in a code block
mmprolong build PDFS my-set
```

## What is in it

3 pages.

## Limits

None known.
"""


def generated(**changes: str) -> Card:
    card = Card.parse(TEXT)
    for name, body in changes.items():
        card.sections[name.replace("_", " ")] = body
    return card


def pushed(card: Card) -> Card:
    """As it is on the Hub after a first push."""
    return Card.parse(str(merge(card, Card({}, {"": ""}))[0]))


def edited(card: Card, old: str, new: str) -> Card:
    text = str(card)
    assert text.count(old) == 1
    return Card.parse(text.replace(old, new))


def test_a_card_is_read_and_written_as_it_is():
    card = Card.parse(TEXT)
    assert list(card.sections) == ["", "How it was built", "What is in it", "Limits"]
    assert str(card) == TEXT
    assert str(Card.parse(str(pushed(card)))) == str(pushed(card))


@pytest.mark.parametrize(
    "text", ["", "# Only words\n", "no metadata\n---\nand a rule\n---\n", "---\n---\n\n# Empty\n"]
)
def test_cards_without_metadata(text):
    card = Card.parse(text)
    assert card.metadata == {}
    assert "".join(card.sections.values()) in text


@pytest.mark.parametrize("text", ["---\na: [1\n---\n", "---\n- a list\n---\n", "---\njust words\n---\n"])
def test_broken_metadata_is_refused(text):
    with pytest.raises(
        ValueError, match=r"metadata of the card .*; mend|metadata of the card is .*, expected"
    ):  # "." is no "\n"
        Card.parse(text)


def test_a_heading_that_is_there_twice_loses_nothing():
    text = "## Notes\none\n## Notes\ntwo\n~~~\n## code\n~~~~\n## End\n"
    card = Card.parse(text)
    assert list(card.sections) == ["", "Notes", "End"]
    assert str(card) == text


def test_a_second_push_of_the_same_changes_nothing():
    first = pushed(generated())
    again, kept = merge(generated(), first)
    assert str(again) == str(first)
    assert kept == ()


def test_what_nobody_has_edited_is_replaced():
    again, kept = merge(generated(What_is_in_it="\n4 pages.\n\n"), pushed(generated()))
    assert "4 pages." in str(again)
    assert "3 pages." not in str(again)
    assert kept == ()


def test_what_a_person_has_edited_stays_and_is_told():
    there = edited(pushed(generated()), "None known.", "Tables are often wrong.")
    again, kept = merge(generated(What_is_in_it="\n4 pages.\n\n", Limits="\nStill none.\n"), there)
    assert "Tables are often wrong." in str(again)
    assert "4 pages." in str(again)
    assert kept == ("section Limits",)
    # and it stays in every later push
    later, kept = merge(generated(What_is_in_it="\n5 pages.\n\n", Limits="\nNone again.\n"), Card.parse(str(again)))
    assert "Tables are often wrong." in str(later)
    assert "5 pages." in str(later)
    assert kept == ("section Limits",)


@pytest.mark.parametrize(
    "editor",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip(),
        lambda text: text + "\n## Thanks\n\nTo all.\n",  # behind the record
        lambda text: text + "\n" * 200_000,
    ],
    ids=["other ends of line", "a byte order mark", "no end of line", "a section at the end", "empty lines"],
)
def test_what_an_editor_does_to_the_file_is_no_edit_of_each_part(editor):
    text = editor(str(pushed(generated())))
    again, kept = merge(generated(What_is_in_it="\n4 pages.\n\n"), Card.parse(text))
    assert kept == ()
    assert "4 pages." in str(again)
    assert str(again).count("<!-- mmprolong_hf wrote") == 1
    assert ("To all." in str(again)) == ("To all." in text)
    assert Card.parse(str(again)).record == digests(generated(What_is_in_it="\n4 pages.\n\n"))


def test_a_card_that_ends_without_an_end_of_line_is_not_joined_to_what_follows():
    again, _ = merge(generated(), Card.parse("# Mine"))
    assert list(Card.parse(str(again)).sections) == ["", "How it was built", "What is in it", "Limits"]
    assert str(again).split("---\n", 2)[2].startswith("# Mine\n## How it was built\n")


def test_a_heading_with_the_end_of_a_comment_does_not_end_the_record():
    card = generated(**{"Beams} --> and more": "\nNone.\n"})
    assert pushed(card).record == digests(card)
    assert merge(card, pushed(card))[1] == ()


def test_without_the_record_everything_counts_as_edited():
    there = pushed(generated())
    there.record = {}
    again, kept = merge(generated(What_is_in_it="\n4 pages.\n\n"), there)
    assert "3 pages." in str(again)
    assert kept == ("section What is in it",)


def test_sections_that_a_person_has_added_or_removed():
    there = edited(pushed(generated()), "## Limits\n\nNone known.", "## Thanks\n\nTo all.")
    new = generated(Review="\nNobody.\n")
    again, kept = merge(new, there)
    assert list(again.sections) == ["", "How it was built", "What is in it", "Thanks", "Review"]
    assert kept == ("section Limits",)


def test_a_section_that_is_no_longer_generated_goes():
    new = generated()
    del new.sections["What is in it"]
    again, _ = merge(new, pushed(generated()))
    assert list(again.sections) == ["", "How it was built", "Limits"]
    there = edited(pushed(generated()), "3 pages.", "Three fine pages.")
    assert "Three fine pages." in str(merge(new, there)[0])


def test_metadata_is_merged_by_name():
    there = pushed(generated())
    there.metadata["license"] = "cc-by-4.0"
    there.metadata["tags"] = ["mine"]
    again, kept = merge(generated(), there)
    assert again.metadata["license"] == "cc-by-4.0"
    assert again.metadata["tags"] == ["mine"]
    assert kept == ("metadata license",)


def test_configs_are_always_those_of_the_data():
    there = pushed(generated())
    there.metadata["configs"][0]["data_files"][0]["path"] = "wrong/*.parquet"
    there.metadata["configs"] += [
        {"config_name": "mine", "data_files": "mine/*.parquet"},
        {"config_name": "earlier", "data_files": [{"split": "train", "path": ["data/earlier-*.parquet"]}]},
    ]
    there.metadata["dataset_info"] = {"config_name": "mine", "features": []}
    again, _ = merge(generated(), there, owned=("data/*.parquet",))
    assert [entry["config_name"] for entry in again.metadata["configs"]] == ["default", "mine"]
    assert again.metadata["configs"][0]["data_files"][0]["path"] == "data/train-*.parquet"
    assert again.metadata["dataset_info"] == [{"config_name": "mine", "features": []}]


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"configs": "mine"}, "the card has configs: 'mine', expected a list of entries"),
        ({"dataset_info": ["mine"]}, r"the card has dataset_info: \['mine'\], expected a list of entries"),
    ],
)
def test_configs_that_are_no_list_of_entries_are_refused(metadata, words):
    with pytest.raises(ValueError, match=words):
        merge(generated(), Card(metadata, {"": ""}))


def test_a_config_without_a_name_or_path_is_left_to_the_person():
    entries = [{"data_files": "mine.csv"}, {"config_name": "odd", "data_files": [{"split": "train"}]}]
    again, _ = merge(generated(), Card({"configs": entries}, {"": ""}), owned=("data/*.parquet",))
    assert again.metadata["configs"][1:] == entries


@pytest.mark.parametrize("seed", range(50))
def test_no_edit_is_ever_lost(seed):
    """Any edits by a person between any pushes: what was written is in the card until that person takes it out."""
    rng = random.Random(seed)
    there, written = pushed(generated()), {}
    for number in range(8):
        name = rng.choice([*there.sections, f"Own {number}"])
        there = copy.deepcopy(there)
        there.sections[name] = f"\nwritten by a person, {seed} {number}\n\n"
        written[name] = there.sections[name].strip()
        new = generated(What_is_in_it=f"\n{number} pages.\n\n", Limits=f"\n{number} limits.\n")
        there = Card.parse(str(merge(new, Card.parse(str(there)))[0]))
        assert {name: there.sections[name].strip() for name in written} == written
        for name in set(new.sections) - set(written):
            assert digests(there)[f"section {name or '(top)'}"] == digests(new)[f"section {name or '(top)'}"]
