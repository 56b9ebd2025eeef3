import pytest
from huggingface_hub import ModelCard

from mmprolong_hf.cards import local_card, model_card, read_template
from mmprolong_hf.hub.card import Card, digests

RECORD = {
    "family": "qwen2_5_vl",
    "card_template": "---\nlanguage:\n- de\n---\n# {{ name }}\n\non {{ base }}, {{ hardware | devices }}, {{ device_seconds | hours }} hours\n",
    "base_model": {"name": "org/base", "commit": None},
    "license": "apache-2.0",
    "datasets": [{"name": "org/set"}, {"name": None}],
    "adapter": None,
    "rope_parameters": {"rope_type": "default"},
    "hardware": [
        {"device": "H100", "num_devices": 8, "seconds": 3600.0},
        {"device": "H200", "num_devices": 4, "seconds": 1800.0},
    ],
}


def test_a_template_is_filled_and_its_metadata_reads_back():
    text = str(model_card(RECORD, "me/m"))
    assert "# me/m\n\non org/base, 8 x H100, then 4 x H200, 10.0 hours\n" in text
    assert ModelCard(text).data.to_dict() == {
        "language": ["de"],
        "base_model": "org/base",
        "base_model_relation": "finetune",
        "datasets": ["org/set"],
        "license": "apache-2.0",
    }


def test_an_adapter_is_one_until_it_is_merged():
    relations = [
        model_card(RECORD | {"adapter": {"merged": merged}}, "m").metadata["base_model_relation"]
        for merged in (False, True)
    ]
    assert relations == ["adapter", "finetune"]


def test_what_is_not_known_is_left_out():
    record = RECORD | {"base_model": {"name": None, "commit": None}, "license": None, "datasets": []}
    assert model_card(record, "m").metadata == {"language": ["de"]}
    assert model_card(record, "m", "org/named").metadata["base_model"] == "org/named"


def test_a_local_card_notes_how_it_was_made():
    card = Card.parse(str(local_card(RECORD, "m")))
    assert card.record == digests(card)
    assert not Card.parse(str(model_card(RECORD, "m"))).record


def test_short_runs_are_not_rounded_to_nothing():
    record = RECORD | {"hardware": [{"device": "cpu", "num_devices": 2, "seconds": 9.0}]}
    assert "2 x cpu, 0.005 hours" in str(model_card(record, "m"))


@pytest.mark.parametrize("template", ["{{ nothing }}", "{% if %}"])
def test_a_broken_template_is_told(template):
    with pytest.raises(ValueError, match=r"model_card_template cannot be filled in \(.*\); mend it"):
        model_card(RECORD | {"card_template": template}, "m")


def test_a_missing_template_is_named():
    with pytest.raises(ValueError, match=r"nowhere\.md does not exist; ours are in model_cards/"):
        read_template("nowhere.md")
