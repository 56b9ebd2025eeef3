import multiprocessing
import time

import pyarrow as pa
import pytest
import tiny
import torch
from accelerate import skip_first_batches
from datasets import Dataset, DatasetInfo
from synthetic_pdf import built, report

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.loader import PackSampler, PartRows, pack_loader
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.planning import encode_documents, parts_of
from mmprolong_hf.sample_encoder import samples_dataset
from mmprolong_hf.samples import list_samples
from mmprolong_hf.sharing import share_prefixes
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


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


def make_loader(folder, documents, collator=None, max_length=128, **options):
    args = MMProLongConfig(
        output_dir=str(folder),
        max_length=max_length,
        packs_per_step=2,
        bf16=False,
        use_cpu=True,
        report_to="none",
        **options,
    )
    dataset, _ = encode_documents(documents, tiny.processor(), args)
    parts = parts_of(dataset, args)
    plan = PackingPlan(parts.lengths, max_length, seed=1, packs_per_step=2)
    return plan, pack_loader(dataset, plan, parts, collator or PackCollator(), args)


def assert_equal_packs(ours, theirs):
    assert len(ours) == len(theirs) > 3
    for one, other in zip(ours, theirs):
        assert one.keys() == other.keys()
        tensors = [name for name in one if torch.is_tensor(one[name])]
        assert "pixel_values" in tensors
        assert all(torch.equal(one[name], other[name]) for name in tensors)
        assert one["layout"].segments == other["layout"].segments


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
def test_packs_come_in_the_order_of_the_plan_with_any_workers(tmp_path):
    documents = tiny.documents(9)
    # The first document's pages take long to read, so that a later pack is ready before the first
    collators = [PackCollator(), SlowFirst(), SlowFirst()]
    loaders = [
        make_loader(tmp_path, documents, collator, dataloader_num_workers=workers)[1]
        for workers, collator in zip((0, 1, 3), collators)
    ]
    epochs = []
    for loader in loaders:
        packs = []
        for epoch in (0, 1):
            loader.set_epoch(epoch)
            packs += list(loader)
        epochs.append(packs)
    for packs in epochs[1:]:
        assert_equal_packs(packs, epochs[0])
    with pytest.raises(AssertionError):
        assert_equal_packs(epochs[0][::-1], epochs[0])


class SlowFirst(PackCollator):
    num_made = 0

    def __call__(self, samples):
        if self.num_made == 0:
            time.sleep(0.3)
        self.num_made += 1
        return super().__call__(samples)


class Counting(PackCollator):
    made = None

    def __call__(self, samples):
        with self.made.get_lock():
            self.made.value += 1
        return super().__call__(samples)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"dataloader_num_workers": 2, "dataloader_prefetch_factor": 1}, 2),
        ({"dataloader_num_workers": 1, "dataloader_prefetch_factor": 3}, 3),
        ({"dataloader_num_workers": 1}, 3),  # a step's packs and one
        ({"dataloader_num_workers": 2}, 4),
    ],
)
def test_workers_prepare_so_many_packs_and_no_more(tmp_path, options, expected):
    collator = Counting()
    collator.made = multiprocessing.Value("i", 0)
    _, loader = make_loader(tmp_path, tiny.documents(9), collator, **options)
    packs = iter(loader)
    next(packs)
    time.sleep(1.0)
    # Beside those that wait: the one that is trained, and the one that accelerate reads ahead
    assert collator.made.value == expected + 2
    assert len(list(packs)) == len(loader) - 1


def test_packs_stay_in_host_memory(tmp_path):
    _, loader = make_loader(tmp_path, tiny.documents())
    assert loader.device is None


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A published set in both forms: with its page images, and with the PDFs that they are rendered from."""
    folder, rows = tmp_path_factory.mktemp("stored"), []
    for chapters in (1, 2):
        path = report(folder / f"{chapters}.pdf", chapters=chapters)
        rows.append(built(path, pages__dpi=72).row)
        rows[-1]["questions"] = rows[-1]["questions"][:4]
    compact = [row | {"images": [], "pdf": (folder / row["source"]).read_bytes()} for row in rows]
    tables = [pa.Table.from_pylist(form, schema=DOCUMENT_FEATURES.arrow_schema) for form in (rows, compact)]
    return [Dataset(table, info=DatasetInfo(features=DOCUMENT_FEATURES)) for table in tables]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_pages_rendered_by_workers_make_the_packs_of_stored_ones(tmp_path, stored, num_workers):
    images, pdfs = (
        make_loader(tmp_path, documents, max_length=256, share_documents=False, dataloader_num_workers=workers)[1]
        for documents, workers in zip(stored, (0, num_workers))
    )
    expected = list(images)
    assert_equal_packs(list(pdfs), expected)
    assert_equal_packs(list(skip_first_batches(pdfs, 2)), expected[2:])  # resumed
