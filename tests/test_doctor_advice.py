"""Every advice is given where it gains, with the number that it follows from, and only there."""

import pytest
from test_trainer import make_trainer

from mmprolong_hf.attention_choice import KernelReport
from mmprolong_hf.doctor.advice import Adviser
from mmprolong_hf.doctor.kernels import KernelTime
from mmprolong_hf.doctor.timing import Timing

SHARED = {"share_documents": True, "max_length": 200}


def adviser(folder, *, kernels=(), free_bytes=None, data_wait=0.0, again=1e9, **options) -> Adviser:
    timing = Timing(1.0, [1.0, 1.0], 400, 9, data_wait, flops=3e9, again=again, losses=[1.0] * 3, peak_bytes=None)
    return Adviser(make_trainer(folder, max_steps=3, **options), timing, list(kernels), free_bytes)


def kernel(name, forward=0.0, reason=None) -> KernelTime:
    return KernelTime(KernelReport(name, 0.0, 0.0, reason), forward, 2 * forward)


def test_a_faster_kernel_gains_its_share_of_the_step(tmp_path):
    kernels = [kernel("flash_attention_2", 0.03), kernel("cudnn", 0.01), kernel("flash_attention_3", reason="missing")]
    found = adviser(tmp_path, kernels=kernels)
    advice = found.kernel()
    assert advice.what == "attention_kernel cudnn"
    assert "takes 40.0 ms instead of 120.0" in advice.text  # forward twice, as it is computed again, and backward
    plan = found.trainer.plan(found.trainer.train_dataset)
    first = found.parts.pairs[plan.packs(0)[0]].sum()
    # Two layers, as many times the first pack as there are pairs in two seconds
    assert advice.gain == pytest.approx(2 * 0.12 * found.pairs / first / 2 * (1 - 1 / 3))
    assert adviser(tmp_path, kernels=kernels[:1]).kernel() is None
    slower = adviser(tmp_path, kernels=[kernels[1], kernels[0]]).kernel()
    assert slower.gain < 0


def test_keeping_attention_gains_its_flops_where_there_is_room(tmp_path):
    found = adviser(tmp_path)
    advice = found.save_attention()
    assert advice.what == "save_attention true"
    assert advice.gain == pytest.approx(4 * 2 * 64 * found.pairs / 4e9)  # two layers, 64 values in all heads
    assert adviser(tmp_path, free_bytes=1000).save_attention() is None
    assert "GiB are free" in adviser(tmp_path, free_bytes=2**30).save_attention().text
    assert adviser(tmp_path, save_attention=True).save_attention() is None
    assert adviser(tmp_path, gradient_checkpointing=False).save_attention() is None


def test_tiles_cost_without_checkpointing_alone(tmp_path):
    assert adviser(tmp_path).tiles() is None
    found = adviser(tmp_path, gradient_checkpointing=False, mlp_tile=32, vision_chunk=64)
    assert found.tiles().what == "mlp_tile null, vision_chunk null"
    flops = found.again.token * found.tokens + found.again.patch * found.patches
    assert found.tiles().gain == pytest.approx(flops / 4e9)
    whole = {"mlp_tile": 8192, "vision_chunk": None}  # no row is longer than such a tile
    assert adviser(tmp_path, gradient_checkpointing=False, **whole).tiles() is None


def test_waiting_for_data_gains_what_it_took(tmp_path):
    assert adviser(tmp_path, data_wait=0.02).data_wait() is None
    assert adviser(tmp_path, data_wait=0.3).data_wait().gain == 0.3


def test_sharing_documents_gains_their_second_computation(tmp_path):
    advice = adviser(tmp_path, **SHARED | {"share_documents": False}).share_documents()
    assert 0.2 < advice.gain < 0.6  # one to three questions a document
    assert adviser(tmp_path, **SHARED).share_documents() is None


def test_packs_that_do_not_go_round_are_told(tmp_path):
    few = adviser(tmp_path, packs_per_step=8, num_gpus=8)
    advice = few.fillers()
    assert advice.gain > 0
    assert "packs do not go round 8 GPUs" in advice.text
    assert adviser(tmp_path, packs_per_step=8).fillers().gain == pytest.approx(0)  # one GPU takes them all


def test_balance_is_that_of_a_wider_window(tmp_path):
    assert adviser(tmp_path).balance().gain == pytest.approx(0)
    advice = adviser(tmp_path, num_gpus=2, balance_window=1).balance()
    assert advice.what == "balance_window 4"
    assert "2 GPUs are busy" in advice.text


def test_the_largest_gain_comes_first_and_the_smallest_not_at_all(tmp_path):
    part = adviser(tmp_path, data_wait=0.9, share_documents=False).advise()
    whats = [finding.what for finding in part.findings if finding.state == "note"]
    assert whats[0] == "more dataloader_num_workers"
    assert "share_documents true" in whats
    gains = [int(finding.text.partition("%")[0]) for finding in part.findings if finding.state == "note"]
    assert gains == sorted(gains, reverse=True)
    assert min(gains) >= 3


def test_room_in_packs_is_said_to_cost_nothing(tmp_path):
    findings = {finding.what: finding for finding in adviser(tmp_path).without_a_number()}
    assert "Nothing is padded, so this costs no time" in findings["fill"].text
