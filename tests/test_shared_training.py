"""One optimizer step over documents with several questions each is the same step, shared or not."""

import pytest
import tiny
from test_trainer import SGD, largest_difference, make_trainer, weights
from transformers import Qwen2_5_VLForConditionalGeneration

from mmprolong_hf.planning import parts_of

TOLERANCE = 1e-5
DOCUMENTS = tiny.documents(5, max_pages=5)  # with one to five pages and as many questions


def step(folder, **options):
    """All documents in one step of plain SGD: a difference of weights is then one of gradients."""
    trainer = make_trainer(folder, **SGD | {"packs_per_step": 32, "max_length": 1024} | options)
    parts = parts_of(trainer.train_dataset, trainer.args)
    assert trainer.plan(trainer.train_dataset).steps_per_epoch == 1
    trainer.train()
    (entry,) = (entry for entry in trainer.state.log_history if "loss" in entry)
    return parts, entry, weights(trainer.model)


def test_a_training_step_does_not_depend_on_sharing(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "documents", lambda: DOCUMENTS)
    _, alone, expected = step(tmp_path, share_documents=False, gradient_checkpointing=False)
    assert largest_difference(expected, weights(tiny.model())) > 0.01  # the step did move the weights
    shares = {
        (1, 1024): [1] * 15,
        (2, 1024): [1, 1, 1, 2, 2, 2, 2, 2, 2],
        (8, 1024): [1, 2, 3, 4, 5],
        (8, 160): [1, 1, 2, 2, 2, 3, 4],  # two documents have questions that do not fit one pack
    }
    for (most, max_length), num_samples in shares.items():
        parts, entry, ours = step(tmp_path, share_documents=True, max_questions_per_pack=most, max_length=max_length)
        assert sorted(parts.num_samples) == num_samples
        assert entry["loss"] == pytest.approx(alone["loss"], rel=TOLERANCE)
        assert largest_difference(ours, expected) <= TOLERANCE
        assert entry["supervised_tokens"] == alone["supervised_tokens"]
        assert entry["num_tokens"] == sum(parts.lengths)
        assert (entry["num_tokens"] < alone["num_tokens"]) == (most > 1)


def test_attention_that_cannot_share_is_refused_for_training_and_for_evaluation(tmp_path):
    options = {"share_documents": True, "max_length": 1024, "model": tiny.model(attention="sdpa")}
    with pytest.raises(ValueError, match="attn_implementation is 'sdpa', but documents are shared"):
        make_trainer(tmp_path, **options)
    alone = make_trainer(tmp_path, **options | {"share_documents": False})
    alone.args.share_documents = True
    with pytest.raises(ValueError, match="attn_implementation is 'sdpa', but documents are shared"):
        alone.evaluate(tiny.documents(3))


def test_a_curriculum_keeps_the_order_of_the_questions(tmp_path):
    options = {"share_documents": True, "max_length": 1024, "packing_order": "sequential"}
    trainer = make_trainer(tmp_path, **options)
    parts = parts_of(trainer.train_dataset, trainer.args)
    assert parts.samples.tolist() == list(range(12))
    shuffled = make_trainer(tmp_path, **options | {"packing_order": "random"})
    assert parts_of(shuffled.train_dataset, shuffled.args).samples.tolist() != list(range(12))


def test_the_best_checkpoint_is_loaded_where_only_models_are_saved(tmp_path):
    options = {
        "save_only_model": True,
        "load_best_model_at_end": True,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
    }
    options |= {
        "save_strategy": "steps",
        "max_steps": 2,
        "share_documents": True,
        "max_length": 1024,
        "packs_per_step": 1,
    }
    trainer = make_trainer(tmp_path, eval_dataset=tiny.documents(2), **options)
    trainer.train()
    saved = Qwen2_5_VLForConditionalGeneration.from_pretrained(trainer.state.best_model_checkpoint)
    assert largest_difference(weights(saved), weights(trainer.model)) == 0
