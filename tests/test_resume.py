import pytest
import tiny
from datasets import Dataset
from test_trainer import ATTENTION, largest_difference, make_trainer, weights

from mmprolong_hf.resume import resolve
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


def other_answers():
    """Of the same lengths."""

    def change(row):
        return row | {"questions": [q | {"answer": q["answer"][::-1].replace("0", "5")} for q in row["questions"]]}

    return Dataset.from_list([change(row) for row in tiny.documents()], features=DOCUMENT_FEATURES)


def other_pixels():
    processor = tiny.processor()
    processor.image_processor.image_mean = [0.3, 0.3, 0.3]
    return processor


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 7}, "is of another run"),
        ({"max_length": 200}, "is of another run"),
        ({"packs_per_step": 3}, "is of another run"),
        ({"packing_order": "sequential"}, "is of another run"),
        ({"share_documents": True}, "is of another run"),
        ({"balance_window": 2}, "is of another run"),
        ({"freeze_vision_tower": True}, "is of another run"),  # what a pack costs is otherwise
        ({"optim": "sgd"}, "optim adamw_torch_fused there, sgd here"),
        ({"learning_rate": 2e-3}, "learning_rate 0.001 there, 0.002 here"),
        ({"documents": other_answers()}, "questions [0-9a-f]{16} there, [0-9a-f]{16} here"),
        ({"processor": other_pixels()}, "image processor [0-9a-f]{16} there, [0-9a-f]{16} here"),
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


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({"save_only_model": True}, None, r"has no optimizer\.pt.*only the model was saved \(save_only_model\)"),
        (
            {"save_only_model": True},
            "optimizer_0",
            r"has no optimizer\.pt.*a fsdp run wrote it; resume with the accelerate",
        ),
    ],
)
def test_a_checkpoint_without_the_optimizers_state_is_not_resumed(tmp_path, options, name, message):
    make_trainer(tmp_path, save_strategy="steps", save_steps=2, max_steps=2, **options).train()
    checkpoint = tmp_path / "checkpoint-2"
    if name is not None:
        (checkpoint / name).mkdir()
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, max_steps=4).train(resume_from_checkpoint=str(checkpoint))


def test_last_is_the_last_complete_one(tmp_path, capsys):
    make_trainer(tmp_path, save_strategy="steps", save_steps=1, max_steps=3).train()
    (tmp_path / "checkpoint-3" / "complete.json").unlink()
    assert resolve(tmp_path, "last") == str(tmp_path / "checkpoint-2")
    line = f"not resumed: {tmp_path / 'checkpoint-3'} has no complete.json, the last file that is written\n"
    assert capsys.readouterr().out.endswith(line)
    resumed = make_trainer(tmp_path, max_steps=3)
    resumed.train(resume_from_checkpoint=True)  # as Trainer writes "last"
    assert resumed._initial_global_step == 2


def test_a_run_resumed_at_its_end_trains_no_step_more(tmp_path):
    """The third of five steps in an epoch; a run may be killed while it saves the final model."""
    whole = make_trainer(tmp_path, save_strategy="steps", save_steps=3, max_steps=3)
    whole.train()
    resumed = make_trainer(tmp_path, max_steps=3)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 3
    assert largest_difference(weights(resumed.model), weights(whole.model)) == 0


def test_last_is_not_another_runs_that_came_further(tmp_path, capsys):
    options = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    make_trainer(tmp_path, learning_rate=0.1, **options).train()
    assert "begins anew" not in capsys.readouterr().out
    whole = make_trainer(tmp_path, **(options | {"max_steps": 3}))
    whole.train()
    line = f"training begins anew; checkpoint-2, checkpoint-4 in {tmp_path} stay until rotated (save_total_limit); to go on"
    assert line in capsys.readouterr().out
    assert resolve(tmp_path, "last") == str(tmp_path / "checkpoint-3")


@pytest.mark.parametrize(("argument", "option"), [("last", None), (True, None), (None, "last")])
def test_resuming_without_a_recipe(tmp_path, argument, option):
    make_trainer(tmp_path, save_strategy="steps", save_steps=1, max_steps=2).train()
    resumed = make_trainer(tmp_path, max_steps=3, resume_from_checkpoint=option)
    resumed.train(resume_from_checkpoint=argument)
    assert resumed._initial_global_step == 2


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match=r"holds no complete checkpoint$"):
        resolve(tmp_path, "last")
    (tmp_path / "checkpoint-7").mkdir()
    with pytest.raises(ValueError, match=r"holds no complete checkpoint; .*checkpoint-7 has no complete\.json"):
        resolve(tmp_path, "last")
    with pytest.raises(ValueError, match="is 'nowhere', expected a checkpoint folder or 'last'"):
        resolve(tmp_path, "nowhere")
