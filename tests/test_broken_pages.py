"""A page breaks in the middle of training: the same on every rank, with any workers, and when resumed; and nothing else changes."""

import json
import re
from types import SimpleNamespace

import pytest
import ranks
import tiny
import torch
from broken import BROKEN, with_page, without
from safetensors.torch import load_file
from test_trainer import ATTENTION, SGD, largest_difference, losses, weights
from transformers import TrainerControl, TrainerState

from mmprolong_hf.broken_pages import REJECTED, REJECTED_PAGES, BrokenPage, BrokenPages
from mmprolong_hf.checkpoints import checkpoints, why_incomplete
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.planning import parts_of
from mmprolong_hf.trainer import MMProLongTrainer

PAGE = BrokenPage("a.pdf", 3, "undecodable", "OSError('truncated')")


def make_trainer(folder, documents, eval_dataset=None, **options):
    options = {
        "max_length": 128, "packs_per_step": 2, "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no", "bf16": False,
        "use_cpu": True, "report_to": "none", "disable_tqdm": True, "num_train_epochs": 2, "share_documents": False,
    } | options  # fmt: skip
    return MMProLongTrainer(
        model=tiny.model(attention=ATTENTION),
        args=MMProLongConfig(output_dir=str(folder), **options),
        train_dataset=documents,
        eval_dataset=eval_dataset,
        processing_class=tiny.processor(),
    )


def document_alone_in_a_pack(trainer):
    """A document of two questions that has a later pack to itself, and is not in the first step."""
    table, parts = trainer.train_dataset.with_format(None), parts_of(trainer.train_dataset, trainer.args)
    packs = [
        {table["document"][row] for part in pack for row in parts[part]}
        for pack in trainer.plan(trainer.train_dataset).packs(0)
    ]
    alone = [min(pack) for pack in packs if len(pack) == 1 and not pack & (packs[0] | packs[1])]
    return next(document for document in alone if len(tiny.documents()[document]["questions"]) == 2)


def damaged(trainer, way="a JPEG cut short"):
    return with_page(tiny.documents(), document_alone_in_a_pack(trainer), BROKEN[way][0])


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run over two epochs, with checkpoints, in which one document is broken."""
    folder = tmp_path_factory.mktemp("one")
    documents = damaged(make_trainer(folder, tiny.documents()))
    trainer = make_trainer(folder, documents, save_strategy="steps", save_steps=3)
    trainer.train()
    return trainer, documents


def entries(trainer, *keys):
    return [[entry[key] for key in keys] for entry in trainer.state.log_history if "loss" in entry]


KEYS = ("loss", "grad_norm", "learning_rate", "supervised_tokens", "questions", "rejected_questions", "fill")


def rows_of(folder):
    return [json.loads(line) for line in (folder / REJECTED_PAGES).read_text().splitlines()]


def test_a_broken_page_is_counted_named_and_told(one):
    trainer, _ = one
    plain = make_trainer(trainer.args.output_dir, tiny.documents())
    document = document_alone_in_a_pack(plain)
    num_questions = len(tiny.documents()[document]["questions"])
    counted = [count for (count,) in entries(trainer, "rejected_questions")]
    assert sum(counted) == 2 * num_questions  # in both epochs
    (row,) = rows_of(trainer.broken_pages.folder)
    assert (row["source"], row["page"], row["reason"]) == (f"{document}.pdf", 1, "undecodable")
    assert row["step"] == next(step for step, count in enumerate(counted) if count)
    assert trainer.broken_pages.report().startswith(f"{2 * num_questions} questions left out of training")


def test_what_is_left_trains_as_if_the_document_had_never_been_there(tmp_path, one):
    """One step of plain SGD over all packs: its loss and its gradients are those of the dataset without the document."""
    _, documents = one
    document = document_alone_in_a_pack(make_trainer(tmp_path, tiny.documents()))
    results = []
    for dataset in (documents, without(documents, document), tiny.documents()):
        num_packs = make_trainer(tmp_path, dataset).plan(make_trainer(tmp_path, dataset).train_dataset).num_packs
        trainer = make_trainer(tmp_path, dataset, **SGD | {"packs_per_step": num_packs})
        trainer.train()
        results.append((losses(trainer)[0], weights(trainer.model)))
    (loss, left), (expected_loss, expected), (whole_loss, whole) = results
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert largest_difference(left, expected) < 1e-5
    assert abs(whole_loss - loss) > 1e-3  # the document was no small part of it
    assert largest_difference(left, whole) > 1e-3


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(tmp_path, one, num_workers):
    trainer, documents = one
    other = make_trainer(tmp_path, documents, dataloader_num_workers=num_workers)
    other.train()
    assert entries(other, *KEYS) == entries(trainer, *KEYS)
    assert largest_difference(weights(other.model), weights(trainer.model)) == 0
    assert rows_of(tmp_path) == rows_of(trainer.broken_pages.folder)


def test_resumed_equals_uninterrupted(tmp_path, one):
    trainer, documents = one
    resumed = make_trainer(tmp_path, documents, dataloader_num_workers=1)
    resumed.train(resume_from_checkpoint=f"{trainer.args.output_dir}/checkpoint-6")
    assert entries(resumed, *KEYS) == entries(trainer, *KEYS)
    assert largest_difference(weights(resumed.model), weights(trainer.model)) == 0


def test_two_ranks_with_workers_equal_one_without(tmp_path, environment, one):
    trainer, documents = one
    trainer.model.save_pretrained(tmp_path / "trained")
    tiny.save_checkpoint(tmp_path / "model")
    tiny.save_dataset(tmp_path / "dataset", train=documents)
    options = {"save_strategy": "no", "share_documents": "false", "num_train_epochs": 2, "dataloader_num_workers": 1}
    argv = ranks.options(tmp_path, **options, output_dir="out")
    (result,) = ranks.run_all([{"argv": argv}], tmp_path, environment)
    assert result["codes"] == [0, 0], result["output"]
    state = json.loads((tmp_path / "out" / "trainer_state.json").read_text())
    ours = [[entry[key] for key in KEYS] for entry in state["log_history"] if "loss" in entry]
    for entry, expected in zip(ours, entries(trainer, *KEYS), strict=True):
        assert entry == pytest.approx(expected, rel=1e-4)
    moved, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "trained"))
    assert largest_difference(moved, expected) < 1e-4
    assert [{**row, "step": 0} for row in rows_of(tmp_path / "out")] == [
        {**row, "step": 0} for row in rows_of(trainer.broken_pages.folder)
    ]


def test_a_step_of_which_nothing_is_left_moves_nothing(tmp_path, one):
    """Its gradients are exactly zero, not 0 / 0."""
    _, documents = one
    trainer = make_trainer(tmp_path, documents, **SGD | {"packs_per_step": 1, "max_steps": -1, "num_train_epochs": 1})
    trainer.train()
    empty = [entry for entry in entries(trainer, "loss", "grad_norm", "supervised_tokens", "fill") if entry[2] == 0]
    assert empty
    assert all(entry == [0, 0, 0, 0] for entry in empty)
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_a_broken_page_of_the_evaluation_set_is_named_and_does_not_stop_training(tmp_path):
    trainer = make_trainer(tmp_path, tiny.documents(), eval_dataset=with_page(tiny.documents(3), 1, None), max_steps=1)
    trainer.train()
    expected = make_trainer(tmp_path, tiny.documents(), eval_dataset=without(tiny.documents(3), 1), max_steps=1)
    expected.train()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected.evaluate()["eval_loss"], rel=1e-5)
    assert trainer.broken_pages.report() == ""
    assert [row["reason"] for row in rows_of(tmp_path)] == ["missing"]


def test_the_leak_test_takes_a_pack_that_broken_pages_have_left(tmp_path):
    trainer = make_trainer(tmp_path, tiny.documents())
    parts, plan = parts_of(trainer.train_dataset, trainer.args), trainer.plan(trainer.train_dataset)
    first = next(pack for pack in plan.packs(0) if sum(parts.num_samples[part] for part in pack) > 1)
    document = trainer.train_dataset.with_format(None)[parts[first[0]][0]]["document"]
    broken = make_trainer(tmp_path, with_page(tiny.documents(), document, None))
    assert broken.check_for_leaks(broken.model) == 0


def end_of_step(broken, step):
    control = TrainerControl()
    broken.on_step_end(SimpleNamespace(device="cpu"), TrainerState(global_step=step), control)
    if control.should_save:
        broken.on_save()


def test_the_very_first_pack_may_not_be_broken(tmp_path):
    broken = BrokenPages(tmp_path)
    broken.see({REJECTED: [PAGE]}, 0)
    message = r"the first pack of the run had to leave out .* page 3 of a\.pdf is undecodable"
    with pytest.raises(ValueError, match=message):
        end_of_step(broken, 1)
    resumed = BrokenPages(tmp_path)
    resumed.see({REJECTED: [PAGE]}, 6)  # the first pack of a process, but not of the run
    end_of_step(resumed, 7)


def test_more_than_one_in_twenty_stops_and_fewer_do_not(tmp_path):
    few = BrokenPages(tmp_path)
    for step in range(1000):
        few.see({REJECTED: [PAGE]} if step % 20 == 19 else {}, step)
        end_of_step(few, step + 1)
    many = BrokenPages(tmp_path)
    for step in range(100):
        many.see({REJECTED: [PAGE]} if step in (10, 20, 30, 40, 50) else {}, step)
        end_of_step(many, step + 1)
    many.see({REJECTED: [PAGE]}, 100)
    with pytest.raises(ValueError, match=r"6 of 100 packs had to leave out .* mend or remove these documents"):
        end_of_step(many, 101)


@pytest.mark.parametrize(("which", "saved"), [("the first pack of the run", []), (r"6 of \d packs", [True])])
def test_both_ranks_end_with_the_message_of_one(tmp_path, environment, which, saved):
    """Rank 1's first pack is broken and rank 0's is not; or many are, and one rank comes to six before the other."""
    plain = make_trainer(tmp_path, tiny.documents())
    table, parts = plain.train_dataset.with_format(None), parts_of(plain.train_dataset, plain.args)
    packs = plain.plan(plain.train_dataset).packs(0)
    first, second = ({table["document"][row] for part in pack for row in parts[part]} for pack in packs[:2])
    documents, kept = tiny.documents(), first | second if saved else set(table["document"]) - (second - first)
    for document in set(table["document"]) - kept:
        documents = with_page(documents, document, None)
    tiny.save_checkpoint(tmp_path / "model")
    tiny.save_dataset(tmp_path / "dataset", train=documents)
    options = {"save_strategy": "no", "share_documents": "false", "num_train_epochs": 3, "output_dir": "out"}
    (ended,) = ranks.run_all([{"argv": ranks.options(tmp_path, **options)}], tmp_path, environment)
    assert ended["codes"] == [1, 1], ended["output"]
    assert ended["seconds"] < 30
    for rank in (0, 1):
        assert re.search(rf"rank {rank}: ValueError: {which} had to leave out .* is missing", ended["output"])
    assert rows_of(tmp_path / "out")
    assert [why_incomplete(folder) is None for folder in checkpoints(tmp_path / "out")] == saved


def test_a_page_is_written_once_however_often_it_is_seen_and_resumed(tmp_path):
    other = BrokenPage("b.pdf", 0, "missing", "1 page images but 2 page_sizes")
    for pages in ([PAGE], [PAGE, other]):
        broken = BrokenPages(tmp_path)
        for step in (7, 8):
            broken.see({REJECTED: pages}, step)
            assert broken.take() == {"rejected_questions": len(pages)}
    assert [(row["source"], row["step"]) for row in rows_of(tmp_path)] == [("a.pdf", 7), ("b.pdf", 7)]


def test_what_is_left_of_a_pack_is_model_inputs(tmp_path):
    pack = {"input_ids": torch.zeros(1, 3), REJECTED: [PAGE]}
    BrokenPages(tmp_path).see(pack, 5)
    assert list(pack) == ["input_ids"]


def test_pages_are_named_where_nothing_is_logged_and_by_evaluation_alone(tmp_path):
    documents = damaged(make_trainer(tmp_path, tiny.documents()))
    quiet = make_trainer(tmp_path / "train", documents, logging_steps=500)
    quiet.train()
    assert (tmp_path / "train" / REJECTED_PAGES).read_text().count("\n") == 1
    make_trainer(tmp_path / "evaluate", tiny.documents()).evaluate(documents)
    assert (tmp_path / "evaluate" / REJECTED_PAGES).read_text().count("\n") == 1
