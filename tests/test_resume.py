import pytest
import tiny
from test_trainer import ATTENTION, make_trainer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 7}, "was trained on another plan"),
        ({"max_length": 200}, "was trained on another plan"),
        ({"packs_per_step": 3}, "was trained on another plan"),
        ({"packing_order": "sequential"}, "was trained on another plan"),
        ({"share_documents": True}, "was trained on another plan"),
        ({"balance_window": 2}, "was trained on another plan"),
        ({"freeze_vision_tower": True}, "was trained on another plan"),  # what a pack costs is otherwise
    ],
)
def test_another_run_is_not_resumed(tmp_path, options, message):
    make_trainer(tmp_path, save_strategy="steps", save_steps=2, max_steps=2).train()
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, max_steps=4, **options).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_another_rope_or_an_incomplete_checkpoint_is_not_resumed(tmp_path):
    make_trainer(tmp_path, save_strategy="steps", save_steps=2, max_steps=2).train()
    checkpoint = tmp_path / "checkpoint-2"
    rope = {"rope_type": "default", "rope_theta": 4e6, "mrope_section": [2, 3, 3]}
    other = tiny.model(attention=ATTENTION, rope_parameters=rope)
    with pytest.raises(ValueError, match="resume with the recipe it was begun with"):
        make_trainer(tmp_path, model=other, max_steps=4).train(resume_from_checkpoint=str(checkpoint))
    (checkpoint / "optimizer.pt").unlink()
    with pytest.raises(ValueError, match=r"has no optimizer\.pt: it is incomplete"):
        make_trainer(tmp_path, max_steps=4).train(resume_from_checkpoint=str(checkpoint))
