import json

import pytest
import tiny
import torch
from broken import with_page
from transformers import Qwen2_5_VLForConditionalGeneration

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.trainer import MMProLongTrainer

ATTENTION = {"text_config": PACKED_ATTENTION, "vision_config": "sdpa"}


def make_trainer(
    folder,
    *,
    family="qwen2_5_vl",
    model=None,
    documents=None,
    processor=None,
    eval_dataset=None,
    fill_dataset=None,
    peft_config=None,
    **options,
):
    options = {
        "max_length": 128, "packs_per_step": 2, "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no", "bf16": False,
        "use_cpu": True, "report_to": "none", "disable_tqdm": True, "num_train_epochs": 2,
        "share_documents": False,
    } | options  # fmt: skip
    return MMProLongTrainer(
        model=tiny.model(family, ATTENTION) if model is None else model,
        args=MMProLongConfig(output_dir=str(folder), **options),
        train_dataset=tiny.documents() if documents is None else documents,
        eval_dataset=eval_dataset,
        fill_dataset=fill_dataset,
        processing_class=tiny.processor(family) if processor is None else processor,
        peft_config=peft_config,
    )


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def largest_difference(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


SGD = {"optim": "sgd", "learning_rate": 0.1, "vision_learning_rate": None, "max_grad_norm": 0.0, "max_steps": 1}


def one_step(folder, max_length, exact=True, **options):
    """The whole dataset in one optimizer step of plain SGD, so that a difference of weights is one of gradients."""
    options |= SGD | {"max_length": max_length}
    trainer = make_trainer(folder, **options, packs_per_step=1)
    num_packs = trainer.plan(trainer.train_dataset).num_packs
    trainer = make_trainer(folder, **options, packs_per_step=num_packs)
    if not exact:
        trainer.model_accepts_loss_kwargs = False
    trainer.train()
    return num_packs, losses(trainer)[0], weights(trainer.model)


@pytest.mark.parametrize("gradient_checkpointing", [True, False])
def test_loss_and_gradients_do_not_depend_on_packing_or_accumulation(tmp_path, gradient_checkpointing):
    options = {"gradient_checkpointing": gradient_checkpointing}
    packs, loss, whole = one_step(tmp_path, 4096, **options)
    many_packs, many_loss, parts = one_step(tmp_path, 96, **options)
    assert (packs, many_packs > 5) == (1, True)
    assert many_loss == pytest.approx(loss, rel=1e-5)
    assert largest_difference(parts, whole) < 1e-5
    assert largest_difference(whole, weights(tiny.model())) > 0.05  # the step did move the weights


def test_the_loss_is_the_mean_over_answer_tokens(tmp_path):
    trainer = make_trainer(tmp_path, max_length=4096, packs_per_step=1, max_steps=1, eval_dataset=tiny.documents(3))
    samples = [row["sample"] for row in trainer.train_dataset.select(range(len(trainer.train_dataset) // 2))]
    total = count = 0
    for sample in samples:
        inputs = tiny.float_pixels(trainer.processing_class, trainer.data_collator([sample]))
        labels = inputs.pop("labels")[0, 1:]
        with torch.no_grad():
            logits = tiny.model()(**inputs).logits[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        count += (labels != -100).sum().item()
    trainer.train()
    assert losses(trainer)[0] == pytest.approx(total / count, rel=1e-5)


def test_micro_batch_means_would_differ(tmp_path):
    """Guard: what Trainer does for models that say accepts_loss_kwargs=False, as Qwen-VL does."""
    _, loss, whole = one_step(tmp_path, 4096)
    _, other_loss, parts = one_step(tmp_path, 96, exact=False)
    assert abs(other_loss - loss) > 1e-2
    assert largest_difference(parts, whole) > 1e-3


def test_the_evaluation_loss_does_not_depend_on_packing(tmp_path):
    documents = tiny.documents(5)
    results = [make_trainer(tmp_path, max_length=n).evaluate(documents)["eval_loss"] for n in (4096, 96)]
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_resumed_equals_uninterrupted(tmp_path):
    whole = make_trainer(tmp_path / "whole", save_strategy="steps", save_steps=3)
    whole.train()
    assert whole.state.max_steps == 10  # two epochs of five steps: step 6 is inside the second
    resumed = make_trainer(tmp_path / "resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    for key in ("loss", "num_tokens", "supervised_tokens", "grad_norm", "learning_rate"):
        ours, theirs = ([e[key] for e in t.state.log_history if key in e] for t in (resumed, whole))
        assert ours == theirs
    assert largest_difference(weights(resumed.model), weights(whole.model)) == 0


def test_resume_decodes_nothing_it_skips(tmp_path, monkeypatch):
    make_trainer(tmp_path, save_strategy="steps", save_steps=4, max_steps=4).train()
    resumed = make_trainer(tmp_path, max_steps=5)
    seen = []
    encoder = resumed.train_dataset.format["format_kwargs"]["transform"]
    monkeypatch.setattr(type(encoder), "__call__", _counting(type(encoder).__call__, seen))
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    plan = resumed.plan(resumed.train_dataset)
    expected = [len(pack) for pack in plan.packs(0)[8:10]]
    leak_test = len(next(pack for pack in plan.packs(0) if len(pack) > 1))
    assert sorted(seen) == sorted([*expected, leak_test])


def _counting(call, seen):
    def counted(self, batch):
        seen.append(len(batch["document"]))
        return call(self, batch)

    return counted


def test_saved_loads_equal_in_the_plain_way(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=2)
    trainer.train()
    trainer.save_model()
    reloaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path)
    assert largest_difference(weights(reloaded), weights(trainer.model)) == 0
    config = json.loads((tmp_path / "config.json").read_text())
    text = config["text_config"]
    assert text["rope_theta"] == text["rope_parameters"]["rope_theta"]  # transformers 4's key and 5's
    assert (tmp_path / "preprocessor_config.json").exists()


def test_samples_that_see_each_other_stop_training_before_it_starts(tmp_path):
    trainer = make_trainer(tmp_path, model=tiny.model(attention="sdpa"))
    assert trainer.check_for_leaks(trainer.model) == 0
    collate = trainer.data_collator
    trainer.data_collator = lambda rows: {
        **(pack := collate(rows)),
        "attention_mask": torch.ones_like(pack["input_ids"]),
    }
    with pytest.raises(RuntimeError, match="samples that share a pack see each other"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_the_vision_tower_has_its_own_learning_rate(tmp_path):
    trainer = make_trainer(tmp_path, learning_rate=1e-3, vision_learning_rate=1e-5, weight_decay=0.1)
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    rates = {}
    decayed = set(trainer.get_decay_parameter_names(trainer.model))
    for group in trainer.create_optimizer().param_groups:
        for parameter in group["params"]:
            rates[names[id(parameter)]] = group["lr"]
            assert group["weight_decay"] == (0.1 if names[id(parameter)] in decayed else 0.0)
    assert len(rates) == len(names)
    assert all(rate == (1e-5 if ".visual." in name else 1e-3) for name, rate in rates.items())
    same = make_trainer(tmp_path, vision_learning_rate=None).create_optimizer()
    assert {group["lr"] for group in same.param_groups} == {1e-3}


def test_what_is_logged_is_what_the_plan_says(tmp_path):
    trainer = make_trainer(tmp_path)
    plan = trainer.plan(trainer.train_dataset)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    table = trainer.train_dataset.with_format(None)
    assert plan.packs(0) != plan.packs(1)
    assert len(entries) == 2 * plan.steps_per_epoch
    seen = 0
    for index, entry in enumerate(entries):
        epoch, step = divmod(index, plan.steps_per_epoch)
        packs = plan.packs(epoch)[2 * step : 2 * step + 2]
        samples = [sample for pack in packs for sample in pack]
        tokens = sum(plan.lengths[sample] for sample in samples)
        seen += tokens
        assert entry["num_tokens"] == seen
        assert entry["fill"] == pytest.approx(tokens / (len(packs) * 128))
        assert entry["questions"] == len(samples)
        assert entry["supervised_tokens"] == sum(table["num_supervised"][sample] for sample in samples)
        assert entry["largest_position"] == max(table["span"][sample] for sample in samples) - 1
        assert entry["tokens_per_second"] > 0


def test_a_dataset_to_fill_with_takes_room_and_no_pack(tmp_path):
    options = {"max_length": 200, "num_train_epochs": 1, "packs_per_step": 1}
    plain = make_trainer(tmp_path / "plain", **options)
    filled = make_trainer(tmp_path / "filled", fill_dataset=tiny.documents(9, max_pages=1), **options)
    plans = [trainer.plan(trainer.train_dataset) for trainer in (plain, filled)]
    assert plans[0].num_packs == plans[1].num_packs
    assert plans[1].num_fill == 9
    assert plans[1].fill > plans[0].fill + 0.03
    filled.train()
    questions = [entry["questions"] for entry in filled.state.log_history if "questions" in entry]
    assert len(questions) == plans[0].num_packs
    assert 12 < sum(questions) <= 12 + 9
    assert sum(questions) == filled.count_questions(len(questions))


def test_a_dataset_to_fill_with_has_the_same_columns(tmp_path):
    with pytest.raises(
        ValueError, match="the dataset to fill with differs in title; expected the columns of the dataset"
    ):
        make_trainer(tmp_path, fill_dataset=tiny.documents(2).remove_columns("title"))


def test_max_questions_sets_the_steps(tmp_path):
    options = {"packs_per_step": 1, "share_documents": True, "max_length": 160}
    trainer = make_trainer(tmp_path, max_questions=15, **options)
    trainer.train()
    questions = [entry["questions"] for entry in trainer.state.log_history if "questions" in entry]
    assert sum(questions) >= 15 > sum(questions[:-1])  # twelve in the first epoch, so it goes on into the second
    assert make_trainer(tmp_path, max_questions=15, max_steps=1, **options).args.max_steps == 1


def test_a_model_card_tells_the_run(tmp_path, root):
    template = str(root / "model_cards" / "long_context.md")
    trainer = make_trainer(tmp_path, max_steps=2, model_card_template=template)
    trainer.train()
    trainer.create_model_card("tiny")
    card = (tmp_path / "README.md").read_text()
    for part in (
        "pipeline_tag: image-text-to-text",
        "# tiny",
        "| steps | 2 of 2 |",
        "Nothing was measured.",
    ):
        assert part in card


def test_no_sample_left_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"no sample of the dataset can be used\. 12 questions left out"):
        make_trainer(tmp_path, max_length=20)


def test_an_evaluation_of_which_nothing_is_left_is_an_error(tmp_path):
    documents = tiny.documents(1)
    with pytest.raises(ValueError, match="no document of eval_dataset has pages that can be read"):
        make_trainer(tmp_path).evaluate(with_page(documents, 0, None))


def test_speed_metrics_count_each_question_once(tmp_path):
    metrics = make_trainer(tmp_path).evaluate(tiny.documents(3))
    assert metrics["eval_samples_per_second"] * metrics["eval_runtime"] == pytest.approx(6, rel=0.01)
