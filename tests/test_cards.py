import pytest
from huggingface_hub import ModelCard

from mmprolong_hf.cards import write_model_card


def test_a_template_is_filled_and_its_metadata_reads_back(tmp_path):
    template = tmp_path / "template.md"
    template.write_text(
        "---\n{{ card_data }}\n---\n\n# {{ model_name }}\n\nseed {{ seed }}, made with {{ version }}\n"
    )
    write_model_card(
        tmp_path / "out" / "README.md", template, model_name="m", base_model="org/base", tags=["a"], seed=7
    )
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert (card.data.base_model, card.data.pipeline_tag, card.data.tags) == ("org/base", "image-text-to-text", ["a"])
    assert "# m\n\nseed 7, made with 0." in card.text


def test_a_local_base_model_is_not_named(tmp_path):
    template = tmp_path / "template.md"
    template.write_text("---\n{{ card_data }}\n---\n")
    write_model_card(tmp_path / "README.md", template, model_name="m", base_model=str(tmp_path), tags=[])
    assert str(tmp_path) not in (tmp_path / "README.md").read_text()


def test_a_missing_template_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.md does not exist; ours are in model_cards/"):
        write_model_card(tmp_path / "README.md", "nowhere.md", model_name="m", base_model="b", tags=[])
