import pytest
import tiny

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.loader import PackSampler, PartRows
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.sample_encoder import samples_dataset
from mmprolong_hf.samples import list_samples
from mmprolong_hf.sharing import share_prefixes


@pytest.mark.parametrize("max_questions", [1, 3])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_an_epoch_and_fillers_are_unsupervised_rows(world_size, max_questions):
    lengths, prefixes = [60, 30, 20, 24, 16, 10, 60], [0, 1, 1, 1, 1, 2, 3]
    parts = share_prefixes(lengths, prefixes, [8] * 7, max_length=64, max_questions=max_questions, seed=1)
    plan = PackingPlan(parts.lengths, 64, seed=1, world_size=world_size, packs_per_step=world_size)
    samplers = [PackSampler(plan, parts, rank) for rank in range(world_size)]
    for epoch in range(2):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        batches = [batch for sampler in samplers for batch in sampler]
        assert len(batches) == world_size * len(samplers[0])
        rows = [row for batch in batches for part in batch for row in part]
        assert sorted(row for row in rows if row < len(lengths)) == list(range(len(lengths)))
        fillers = [batch for batch in batches if batch[0][0] >= len(lengths)]
        assert len(fillers) == -plan.num_packs % world_size
    assert max(len(part) for batch in batches for part in batch) == max_questions


def test_a_filler_is_the_same_row_without_labels():
    documents, processor = tiny.documents(2), tiny.processor()
    table, _ = list_samples(documents, processor, max_length=4096)
    rows = PartRows(samples_dataset(table, documents, processor))
    trained, filler = (PackCollator()(rows.__getitems__([[index]])) for index in (1, 1 + len(table)))
    assert trained["input_ids"].equal(filler["input_ids"])
    assert trained["pixel_values"].equal(filler["pixel_values"])
    assert (trained["labels"] != -100).any()
    assert (filler["labels"] == -100).all()
