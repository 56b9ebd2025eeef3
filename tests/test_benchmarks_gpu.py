"""benchmarks/gpu: everything at toy size on the CPU; what a GPU alone can tell is not here."""

import json
import sys
from pathlib import Path

import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "gpu"))
import levers
import paged_document
import training
from random_document import PAGE_GRID, TINY_PAGE_GRID, make_config
from report import write_report
from work import Work, pinned_bytes

from mmprolong_hf.architecture import QWEN2_5_VL_7B, Architecture

TINY = ["--tiny", "--lengths", "256", "512", "--lever_length", "512", "--repeats", "1"]


@pytest.fixture(scope="module")
def processor():
    return paged_document.make_processor(TINY_PAGE_GRID)


def run(folder, *arguments):
    levers.main(["--out", str(folder), *TINY, *arguments])
    return records(folder)


def records(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_both_trainers_and_every_lever_have_the_same_loss_and_gradients(tmp_path, capsys):
    found = run(tmp_path, "--lengths", "512")
    measured = [record for record in found if "not_measured" not in record]
    assert all(record["equal"] for record in measured)
    assert sorted((r["trainer"], r["training"]) for r in measured if not r["lever"]) == [
        ("ours", "full"),
        ("ours", "lora"),
        ("stock", "full"),
        ("stock", "lora"),
    ]
    changed = {record["name"] for record in measured if record["lever"]}
    assert changed == {
        "attention_kernel sdpa", "liger_kernels off", "mlp_tile off", "vision_chunk off", "save_attention off", "uint8_pixels off",
    }  # fmt: skip
    refused = {record["name"]: record["not_measured"] for record in found if "not_measured" in record}
    assert "attention_kernel is 'cudnn', but cudnn: not usable" in refused["attention_kernel cudnn"]
    assert refused["activation_offloading on"] == "not begun: there is no GPU to offload from"
    report = (tmp_path / "report.md").read_text()
    assert "Each lever alone" in report
    assert "of stock 506, where ours is" in report
    assert report in capsys.readouterr().out
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_another_gradient_is_seen(tmp_path, monkeypatch):
    """Guard: stock is given the pages in another order."""
    encode = paged_document.PagedDocument.stock

    def other_pages(self, collator):
        inputs = encode(self, collator)
        return inputs | {"pixel_values": inputs["pixel_values"].flip(0)}

    monkeypatch.setattr(paged_document.PagedDocument, "stock", other_pages)
    with pytest.raises(SystemExit, match="differ from the first run's: stock, sdpa, lora, 512 tokens"):
        run(tmp_path, "--only", "ours", "stock", "--lengths", "512")


def test_running_out_of_memory_is_a_result_and_longer_documents_are_not_begun(tmp_path, monkeypatch):
    def too_large(*args, **kwargs):
        return torch.empty(2**60)  # the CPU's allocator refuses it

    monkeypatch.setattr(training.StockTrainer, "training_step", too_large)
    found = run(tmp_path, "--only", "ours", "stock")
    assert [record["not_measured"] for record in found if record["trainer"] == "stock"] == [
        "out of memory",
        "not begun: out of memory at 256 tokens",
    ]
    assert sum("not_measured" not in record for record in found) == 2
    assert "| stock, sdpa | out of memory |" in (tmp_path / "report.md").read_text()


def test_ours_falls_back_to_what_takes_less_memory(tmp_path, monkeypatch):
    step = training.OurTrainer.training_step

    def only_recomputed(self, *args, **kwargs):
        return torch.empty(2**60) if self.args.save_attention else step(self, *args, **kwargs)

    monkeypatch.setattr(training.OurTrainer, "training_step", only_recomputed)
    found = run(tmp_path, "--only", "ours")
    assert [(r["length"], r["name"], r.get("not_measured")) for r in found] == [
        (256, "attention kept", "out of memory"),
        (256, "attention computed again", None),
        (512, "attention kept", "not begun: out of memory at 256 tokens"),
        (512, "attention computed again", None),
    ]


def test_a_step_of_the_same_length_comes_before_those_that_are_timed(tmp_path, monkeypatch):
    seen = []
    step = training.StockTrainer.training_step

    def watched(self, model, inputs, *args):
        seen.append(inputs["input_ids"].numel())
        return step(self, model, inputs, *args)

    monkeypatch.setattr(training.StockTrainer, "training_step", watched)
    found = run(tmp_path, "--only", "ours", "stock", "--repeats", "2")
    assert [(r["trainer"], r["length"]) for r in found] == [
        ("ours", 256),
        ("stock", 256),
        ("stock", 512),
        ("ours", 512),
    ]
    assert all(len(record["seconds"]) == 2 and record["first_seconds"] > 0 for record in found)
    assert seen == [tokens for record in found if record["trainer"] == "stock" for tokens in [record["tokens"]] * 3]
    last = found[-1]
    least, most = min(last["seconds"]), max(last["seconds"])
    row = f"| {last['first_seconds']:.2f} | {least:.2f}, {(least + most) / 2:.2f}, {most:.2f} |"
    assert row in (tmp_path / "report.md").read_text()


def test_three_steps_are_timed_up_to_128k_and_one_beyond(tmp_path):
    schedule = levers.Schedule(levers.parse(["--tiny", "--out", str(tmp_path)]))
    assert [schedule.repeats(length) for length in (32768, 131072, 262144)] == [3, 3, 1]
    schedule = levers.Schedule(levers.parse(["--tiny", "--out", str(tmp_path), "--repeats", "2"]))
    assert schedule.repeats(262144) == 2


def test_what_would_end_too_late_is_not_begun(tmp_path):
    assert [
        "would take" in record["not_measured"] for record in run(tmp_path, "--seconds", "0", "--only", "ours")
    ] == [True, True]


def test_reports_of_several_folders_are_joined_and_what_was_measured_wins(tmp_path):
    run(tmp_path / "a", "--only", "ours", "--lengths", "512")
    run(tmp_path / "b", "--only", "ours", "--seconds", "0")
    report = write_report([tmp_path / "a", tmp_path / "b"])
    assert report.count("| lora |") == 2
    assert report.count("would take") == 1


def test_stock_is_given_the_sample_that_ours_is_given(processor):
    document = paged_document.PagedDocument(processor, TINY_PAGE_GRID, 512)
    stock = document.stock(DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True))
    ours = document.ours(uint8=False)
    assert 500 < ours["input_ids"].numel() <= 512
    for name in ("input_ids", "labels", "mm_token_type_ids", "pixel_values", "image_grid_thw"):
        assert torch.equal(stock[name], ours[name])
    with pytest.raises(ValueError, match="labels of TRL's collator differ"):
        paged_document.PagedDocument(processor, TINY_PAGE_GRID, 512).stock(
            DataCollatorForVisionLanguageModeling(processor)
        )


def test_the_model_is_qwen2_5_vl_7b():
    assert Architecture.from_config(make_config(layers=None, tiny=False).to_dict()) == QWEN2_5_VL_7B


def test_work_at_131072_tokens():
    """Against the table of FLOPs a token: 126.9 G for full training with a frozen tower, of which 39.2 G, 78.9 G and 8.8 G."""
    pages = 125
    pack = {
        "input_ids": torch.empty(1, 131072, device="meta"),
        "labels": torch.full((1, 131072), -100),
        "image_grid_thw": torch.tensor([[1, *PAGE_GRID]]).repeat(pages, 1),
    }
    options = {"save_attention": True, "mlp_tile": 8192, "vision_chunk": 32768, "uint8_pixels": True}
    kept, again, stock = (
        Work.of(QWEN2_5_VL_7B, training.Run(trainer, "lora", 131072, "", own), pack)
        for trainer, own in (("ours", options), ("ours", options | {"save_attention": False}), ("stock", {}))
    )
    linear, attention = 39.15e9 * 131072, 78.9e9 * 131072
    vision = kept.model_flops - linear * 2 / 3 - attention
    assert vision / (pages * 1036) == pytest.approx(5.5e9, rel=0.02)
    assert kept.hardware_flops - kept.model_flops == pytest.approx(linear / 3, rel=0.01)
    assert again.hardware_flops - kept.hardware_flops == pytest.approx(attention / 3, rel=0.01)
    assert stock.hardware_flops == again.hardware_flops
    assert pinned_bytes(QWEN2_5_VL_7B, 131072) / 2**30 == 28  # 0.875 GiB a layer, pinned as 1


def test_a_folder_has_to_be_named(capsys):
    with pytest.raises(SystemExit):
        levers.main([])
    assert "expected either --out or --report" in capsys.readouterr().err
