import torch
from test_trainer import make_trainer

from mmprolong_hf.doctor.observer import StepObserver
from mmprolong_hf.doctor.speed import describe_timing
from mmprolong_hf.doctor.timing import Timing, time_steps


def told(trainer, timing) -> dict:
    seen = StepObserver()
    seen.most_supervised, seen.pixel_dtype = 20, torch.float32
    return {finding.what: finding for finding in describe_timing(trainer, timing, seen)}


def timing_of(**fields) -> Timing:
    usual = {"data_wait": 0.01, "flops": 2e12, "again": 1e12, "peak_bytes": None}
    return Timing(9.0, [1.0, 3.0], 100, 2, losses=[3.0, 2.0, 1.0], **usual | fields)


def test_rates_are_told(tmp_path):
    found = told(make_trainer(tmp_path), timing_of())
    assert found["seconds a step"].text == "1, 3; the first 9, with the leak test and what counts"
    assert (found["tokens"].text, found["questions"].text) == ("25 a second", "0.5 a second")
    assert found["loss"].text == "3.0000, 2.0000, 1.0000"
    assert "0.5 TFLOPS of the model (causal, vision included), 0.75 with" in found["FLOPs"].text


def test_a_cpu_has_no_utilization_and_an_estimate_of_memory(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=2)
    found = told(trainer, time_steps(trainer))
    assert "causal MFU" not in found
    assert "no MFU: a CPU's peak has no meaning here" in found["FLOPs"].text
    assert "MiB estimated for a pack of" in found["memory"].text
    assert "on a CPU it is not measured" in found["memory"].text


def test_waiting_for_data_is_noted(tmp_path):
    trainer = make_trainer(tmp_path)
    assert told(trainer, timing_of())["data wait"].state == "ok"
    assert told(trainer, timing_of(data_wait=0.03))["data wait"].state == "note"


def test_a_measured_peak_stands_beside_its_estimate(tmp_path):
    trainer = make_trainer(tmp_path)
    far = told(trainer, timing_of(peak_bytes=2**30))["memory"]
    assert far.state == "note"
    assert far.text.startswith("1.0 GiB at most, ")
    assert far.text.endswith(("(-100%)", "(-99%)"))


def test_there_is_no_estimate_without_checkpointing(tmp_path):
    found = told(make_trainer(tmp_path, gradient_checkpointing=False), timing_of())["memory"]
    assert "there is no estimate without gradient checkpointing" in found.text
