import numpy as np
import pytest
import tiny
from datasets import Dataset

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.planning import encode_documents, parts_of, plan_of, steps_for_questions, tokens_until, total_until
from mmprolong_hf.sharing import share_prefixes

NUM_QUESTIONS = 12  # tiny.documents(6): 1, 2, 3, 1, 2, 3 questions


@pytest.fixture(scope="module")
def processor():
    return tiny.processor()


def recipe(tmp_path, **options) -> MMProLongConfig:
    return MMProLongConfig(
        **{"output_dir": str(tmp_path), "max_length": 256, "packs_per_step": 2, "use_cpu": True} | options
    )


def encoded(processor, args, fill=None) -> Dataset:
    dataset, rejections = encode_documents(tiny.documents(), processor, args, fill=fill)
    assert rejections == []
    return dataset


def test_a_document_is_counted_once_for_all_its_questions(processor, tmp_path):
    args = recipe(tmp_path)
    dataset = encoded(processor, args)
    table = dataset.with_format(None)[:NUM_QUESTIONS]
    shared, alone = parts_of(dataset, args), parts_of(dataset, recipe(tmp_path, share_documents=False))
    assert shared.num_samples.tolist() == [1, 2, 3, 1, 2, 3]
    assert alone.samples.tolist() == list(range(NUM_QUESTIONS))
    assert alone.lengths.tolist() == table["length"]
    for part in range(len(shared)):
        samples = shared[part]
        assert {table["document"][sample] for sample in samples} == {part}
        repeated = (len(samples) - 1) * table["prefix_length"][samples[0]]
        assert shared.lengths[part] == sum(table["length"][sample] for sample in samples) - repeated
        assert shared.patches[part] == table["num_patches"][samples[0]]
        # what a part counts is what its rows are
        rows = dataset[samples]["sample"]
        assert [len(row["input_ids"]) for row in rows] == [table["length"][sample] for sample in samples]
        assert len(rows[0]["pixel_values"]) == shared.patches[part]


def test_questions_a_pack_are_bounded(processor, tmp_path):
    args = recipe(tmp_path, max_questions_per_pack=2)
    assert parts_of(encoded(processor, args), args).num_samples.tolist() == [1, 2, 2, 1, 1, 2, 2, 1]


def test_the_plan_is_the_recipes(processor, tmp_path):
    args = recipe(tmp_path, balance_window=3, data_seed=5)
    dataset = encoded(processor, args)
    plan, parts = plan_of(dataset, args, tiny.config(), lora=False), parts_of(dataset, args)
    assert plan.lengths == tuple(parts.lengths)
    assert (plan.seed, plan.max_length, plan.packs_per_step, plan.strategy) == (5, 256, 2, "random")
    assert (plan.world_size, plan.num_fill, plan.balance_window) == (1, 0, 3)
    assert plan != plan_of(dataset, recipe(tmp_path, balance_window=3, data_seed=6), tiny.config(), lora=False)

    evaluation = plan_of(dataset, args, tiny.config(), lora=False, training=False)
    assert [part for pack in evaluation.packs(0) for part in pack] == list(range(len(parts)))
    assert (evaluation.strategy, evaluation.packs_per_step) == ("sequential", 1)


def test_costs_are_the_models(processor, tmp_path):
    """What is frozen costs less; and what a token costs depends on the length of its part."""
    args = recipe(tmp_path)
    dataset = encoded(processor, args)
    full, lora, frozen = (
        np.array(plan_of(dataset, arguments, tiny.config(), lora=lora).costs)
        for arguments, lora in ((args, False), (args, True), (recipe(tmp_path, freeze_vision_tower=True), False))
    )
    assert (lora < frozen).all()
    assert (frozen < full).all()
    assert len(set(np.round(full / parts_of(dataset, args).lengths, 3))) > 1


def test_samples_to_fill_with_stand_alone_at_the_end(processor, tmp_path):
    args = recipe(tmp_path)
    dataset = encoded(processor, args, fill=tiny.documents(3))
    parts, plan = parts_of(dataset, args), plan_of(dataset, args, tiny.config(), lora=False)
    assert parts.num_samples.tolist() == [1, 2, 3, 1, 2, 3] + 6 * [1]
    assert sorted(parts.samples[-6:]) == list(range(NUM_QUESTIONS, NUM_QUESTIONS + 6))
    assert plan.num_fill == 6
    bare = encoded(processor, args)
    assert plan.num_packs == plan_of(bare, args, tiny.config(), lora=False).num_packs
    assert parts.lengths[:6].tolist() == parts_of(bare, args).lengths.tolist()


def random_parts(seed):
    """Forty documents with 1 to 5 questions that share them, and ten samples to fill with."""
    random = np.random.default_rng(seed)
    prefixes = np.repeat(np.arange(40), random.integers(1, 6, size=40))
    documents = random.integers(20, 60, size=40)[prefixes]
    main = share_prefixes(
        documents + random.integers(1, 9, size=len(prefixes)),
        prefixes,
        documents,
        max_length=100,
        max_questions=3,
        seed=0,
    )
    fill = share_prefixes([6] * 10, range(10), [5] * 10, max_length=100, max_questions=1, seed=0)
    return main.followed_by(fill)


@pytest.mark.parametrize("seed", range(3))
def test_steps_and_totals_are_those_of_a_run(seed):
    parts = random_parts(seed)
    plan = PackingPlan(parts.lengths, 100, seed, packs_per_step=4, num_fill=10, balance_window=2)
    questions = tokens = 0
    reached = {}  # after how many steps so many questions were trained first
    for step in range(2 * plan.steps_per_epoch + 3):
        assert tokens_until(plan, step) == total_until(plan, plan.lengths, step) == tokens
        epoch, begin = divmod(step, plan.steps_per_epoch)
        for pack in plan.packs(epoch)[4 * begin : 4 * begin + 4]:
            tokens += sum(plan.lengths[part] for part in pack)
            for part in pack:
                questions += len(parts[part]) if part < plan.num_main else 0
        for number in range(len(reached) + 1, questions + 1):
            reached[number] = step + 1
    per_epoch = int(parts.num_samples[: plan.num_main].sum())
    assert len(reached) > 2 * per_epoch
    assert reached[per_epoch] == plan.steps_per_epoch
    for number, steps in reached.items():
        assert steps_for_questions(plan, parts, number) == steps


def test_a_dataset_of_other_columns_is_no_filling(processor, tmp_path):
    other = tiny.documents(2).remove_columns(["dpi"]).rename_column("title", "name")
    with pytest.raises(ValueError, match="the dataset to fill with differs in dpi, name, title; expected the columns"):
        encode_documents(tiny.documents(), processor, recipe(tmp_path), fill=other)


def test_a_dataset_without_usable_samples_is_refused(processor, tmp_path):
    args = recipe(tmp_path, max_length=8)
    message = "no sample of the dataset can be used. 12 questions left out: 12 document_too_long"
    with pytest.raises(ValueError, match=message):
        encode_documents(tiny.documents(), processor, args)
    with pytest.raises(ValueError, match="no sample of the dataset can be used"):
        encode_documents(tiny.documents().select([]), processor, recipe(tmp_path), fill=tiny.documents(1))


def test_a_dataset_to_fill_with_that_fills_nothing_is_an_error(processor, tmp_path):
    args = recipe(tmp_path, max_length=90)
    long = tiny.documents(1).map(lambda row: {"questions": [{**row["questions"][0], "question": "why " * 90}]})
    with pytest.raises(ValueError, match="no sample of fill_with can be used; name another dataset, or leave it out"):
        encode_documents(tiny.documents(), processor, args, fill=long)
