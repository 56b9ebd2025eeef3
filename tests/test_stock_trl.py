"""The card's view of a set for TRL's own SFTTrainer: the very lines of the card, on a set that was built."""

import re
from functools import partial
from itertools import islice

import pytest
import tiny
import torch
import trl
from synthetic_pdf import report

from mmprolong_hf.encoding import encode_sample
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

# TRL (1.16) switches on its checkpointing by the name that transformers (5.23) gives up
pytestmark = pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning")

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"  # that the card names
PER_DOCUMENT = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    report(folder / "a.pdf", titles=["Apples", "Pears"])
    report(folder / "b.pdf", titles=["Oaks", "Elms", "Ashes"])
    changes = {"output": str(folder / "set"), "pages.dpi": 36, "mixture.questions_per_document": PER_DOCUMENT}
    build_dataset(folder_plan(folder, {**changes, "pool.near_duplicates": None}))
    return folder / "set"


def code_of(card: str) -> str:
    section = card.partition("\n## Training with TRL\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return code


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """What the card's code made and trained: for two steps, a tiny model in the place of the one that it would download."""
    made = []
    options = {
        "output_dir": str(tmp_path_factory.mktemp("out")),
        "use_cpu": True,
        "bf16": False,
        "learning_rate": 1e-2,
    }
    options |= {"logging_steps": 1, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}

    class TinyTrainer(trl.SFTTrainer):
        def __init__(self, model, args, train_dataset):
            assert (model, args.max_steps) == (MODEL, 1000)
            args.max_steps = 2
            super().__init__(tiny.model(), args, train_dataset=train_dataset, processing_class=tiny.processor())
            made.append(self)

    code = code_of((folder / "README.md").read_text())
    assert "mmprolong_hf" not in code
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl, "SFTTrainer", TinyTrainer)
        patch.setattr(trl, "SFTConfig", partial(trl.SFTConfig, **options))
        exec(code.replace("PATH_OR_ID", str(folder)), {})
    return made[0]


def our_sample(folder, *, numbers: bool = True) -> dict[str, torch.Tensor]:
    """The first question as `mmprolong_hf` trains it."""
    row = next(read_rows(folder, "train"))
    question, pages = row["questions"][0], [tiny.Image.open(tiny.BytesIO(image["bytes"])) for image in row["images"]]
    shown = range(1, len(pages) + 1) if numbers else [0] * len(pages)
    return encode_sample(tiny.processor(), pages, shown, question["question"], question["answer"])


def first_batch(trained) -> dict[str, torch.Tensor]:
    return next(iter(trained.get_train_dataloader()))


def test_it_trains_on_the_model(trained):
    losses = [entry["loss"] for entry in trained.state.log_history if "loss" in entry]
    assert len(losses) == trained.state.global_step == 2
    assert all(loss > 0 for loss in losses)
    before = dict(tiny.model().named_parameters())
    name, after = next((n, p) for n, p in trained.model.named_parameters() if "visual" in n and p.dim() > 1)
    assert not torch.equal(before[name], after)


def test_the_tokens_are_ours_and_the_templates_line_break(folder, trained):
    batch, ours = first_batch(trained), our_sample(folder)
    ids, end = batch["input_ids"][0].tolist(), tiny.processor().tokenizer("\n", add_special_tokens=False).input_ids
    assert ids == ours["input_ids"].flatten().tolist() + end
    assert ids != our_sample(folder, numbers=False)["input_ids"].flatten().tolist() + end  # that can be told apart
    assert torch.equal(batch["pixel_values"], ours["pixel_values"])
    assert torch.equal(batch["image_grid_thw"], ours["image_grid_thw"])


def test_every_page_is_in_the_first_row(folder, trained):
    batch, row = first_batch(trained), next(read_rows(folder, "train"))
    assert len(batch["image_grid_thw"]) == row["num_pages"]
    tokens = int(batch["image_grid_thw"].prod(-1).sum()) // 4  # patches that the model merges into one
    assert (batch["input_ids"] == tiny.processor().image_token_id).sum() == tokens > 0


def test_only_the_answer_is_supervised(folder, trained):
    labels = first_batch(trained)["labels"][0]
    answer = next(read_rows(folder, "train"))["questions"][0]["answer"]
    assert tiny.processor().tokenizer.decode(labels[labels != IGNORE_INDEX]) == f"{answer}<|im_end|>\n"


def test_a_max_length_would_leave_nothing_to_learn(folder, trained, monkeypatch):
    assert trained.args.max_length is None is not trl.SFTConfig.max_length
    monkeypatch.setattr(trained.data_collator, "max_length", our_sample(folder)["input_ids"].numel() // 2)
    assert (first_batch(trained)["labels"] == IGNORE_INDEX).all()


def test_the_questions_of_a_document_share_its_decoded_pages(trained):
    samples = list(islice(trained.train_dataset, 2 * PER_DOCUMENT))
    pages = [sample["images"][0] for sample in samples]
    assert all(page is pages[0] for page in pages[:PER_DOCUMENT])
    assert all(page is pages[-1] for page in pages[PER_DOCUMENT:])
    assert pages[0] is not pages[-1]
