import pytest
import tiny

from mmprolong_hf.loader import PackSampler, SampleCollator
from mmprolong_hf.packing import PackingPlan
from mmprolong_hf.samples import list_samples, samples_dataset


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_an_epoch_and_fillers_are_unsupervised_rows(world_size):
    lengths = [60, 50, 40, 30, 20, 10, 60]
    plan = PackingPlan(lengths, 64, seed=1, world_size=world_size, packs_per_step=world_size)
    samplers = [PackSampler(plan, rank) for rank in range(world_size)]
    for epoch in range(2):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        batches = [batch for sampler in samplers for batch in sampler]
        assert len(batches) == world_size * len(samplers[0])
        trained = [index for batch in batches for index in batch if index < len(lengths)]
        assert sorted(trained) == list(range(len(lengths)))
        fillers = [batch for batch in batches if batch[0] >= len(lengths)]
        assert len(fillers) == -plan.num_packs % world_size


def test_a_filler_is_the_same_row_without_labels():
    documents, processor = tiny.documents(2), tiny.processor()
    table, _ = list_samples(documents, processor, max_length=4096)
    dataset = samples_dataset(table, documents, processor)
    trained, filler = (SampleCollator(2)(dataset.__getitems__([index])) for index in (1, 1 + len(table)))
    assert trained["input_ids"].equal(filler["input_ids"])
    assert trained["pixel_values"].equal(filler["pixel_values"])
    assert (trained["labels"] != -100).any()
    assert (filler["labels"] == -100).all()
