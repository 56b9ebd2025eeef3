"""What is called of vLLM, by a stand-in for it: vLLM itself needs a GPU and is no dependency."""

import base64
import io
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mmprolong_hf.evaluation.requests import Answer, Ask, Context, PageImage
from mmprolong_hf.evaluation.vllm_engine import VllmEngine, weights_files_hash

buffer = io.BytesIO()
Image.new("RGB", (28, 28)).save(buffer, "PNG")
PAGE = buffer.getvalue()


@pytest.fixture
def vllm(monkeypatch):
    """Records what `LLM` is made with and every `chat`; the first prompt of a batch fills the cache of the others."""
    module = ModuleType("vllm")
    module.__version__ = "0.0.0"
    module.made, module.chats = [], []

    class LLM:
        def __init__(self, model, **options):
            module.made.append((model, options))

        def chat(self, messages, sampling_params, **options):
            module.chats.append((messages, sampling_params, options))
            cached = 0 if len(module.chats) == 1 else 8
            return [
                SimpleNamespace(
                    prompt_token_ids=[1] * 10,
                    num_cached_tokens=cached,
                    outputs=[SimpleNamespace(text=f"to {message[0]['content'][-1]['text']}")],
                )
                for message in messages
            ]

    module.LLM = LLM
    module.SamplingParams = lambda **values: values
    monkeypatch.setitem(sys.modules, "vllm", module)
    return module


def test_the_model_is_made_for_long_documents_with_a_prefix_cache(vllm):
    overrides = {"text_config": {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}}
    engine = VllmEngine("m", max_model_len=139264, hf_overrides=overrides, mm_processor_kwargs={"max_pixels": 9})
    assert vllm.made == [
        (
            "m",
            {
                "max_model_len": 139264,
                "limit_mm_per_prompt": {"image": 1024, "video": 0},
                "enable_prefix_caching": True,
                "hf_overrides": overrides,
                "mm_processor_kwargs": {"max_pixels": 9},
            },
        )
    ]
    assert engine.name == (
        'm in vllm 0.0.0, hf_overrides {"text_config": {"rope_parameters": {"factor": 4.0, "rope_type": "yarn"}}}, '
        'mm_processor_kwargs {"max_pixels": 9}'
    )
    assert VllmEngine("m", max_model_len=8192).name == "m in vllm 0.0.0"


def test_the_first_question_goes_alone_and_the_others_by_how_they_start(vllm):
    asks = (
        Ask("a", "q0", answer_start="Answer:", max_new_tokens=5),
        Ask("b", "q1", answer_start="Answer:", max_new_tokens=6),
        Ask("c", "q2", max_new_tokens=7),
        Ask("d", "q3", answer_start="Answer:", max_new_tokens=8),
    )
    answers = list(VllmEngine("m", max_model_len=8192).answer(Context(("See: ", PageImage(PAGE)), asks)))
    assert answers[:2] == [Answer("a", "to q0", 10, 10), Answer("b", "to q1", 10, 2)]
    assert [answer.id for answer in answers] == ["a", "b", "d", "c"]
    assert [[m[0]["content"][-1]["text"] for m in messages] for messages, _, _ in vllm.chats] == [
        ["q0"],
        ["q1", "q3"],
        ["q2"],
    ]
    assert [params for _, params, _ in vllm.chats][1] == [
        {"temperature": 0.0, "max_tokens": 6},
        {"temperature": 0.0, "max_tokens": 8},
    ]
    assert [(options["add_generation_prompt"], options["continue_final_message"]) for _, _, options in vllm.chats] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    [user, assistant] = vllm.chats[0][0][0]
    assert assistant == {"role": "assistant", "content": "Answer:"}
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert base64.b64decode(user["content"][1]["image_url"]["url"].partition(",")[2]) == PAGE
    assert len(vllm.chats[2][0][0]) == 1


def test_a_page_that_cannot_be_sent_fails_its_questions_and_not_the_run(vllm, tmp_path):
    engine = VllmEngine("m", max_model_len=8192)
    asks = Ask("a", "q0"), Ask("b", "q1")
    for bad, reason in ((b"GIF89a", "expected a JPEG, PNG or WebP"), (tmp_path / "gone.png", "No such file")):
        failed = list(engine.answer(Context((PageImage(PAGE), PageImage(bad)), asks)))
        assert [(answer.id, answer.text) for answer in failed] == [("a", ""), ("b", "")]
        assert all(answer.error.startswith("bad_page: page 2 of 2") and reason in answer.error for answer in failed)
    assert vllm.chats == []
    assert [answer.text for answer in engine.answer(Context((PageImage(PAGE),), asks))] == ["to q0", "to q1"]


def test_the_name_tells_the_weights_of_a_folder_apart(vllm, tmp_path):
    # a header of more than 64 KiB, as that of a large model in one file
    weights = {f"model.layers.{i}.a_long_name_of_a_weight_in_a_language_model": torch.zeros(99) for i in range(700)}
    names = []
    for value in (0.0, 0.0, 1.0):
        weights["model.layers.350.a_long_name_of_a_weight_in_a_language_model"] = torch.full((99,), value)
        save_file(weights, tmp_path / "model.safetensors")
        names.append(VllmEngine(str(tmp_path), max_model_len=8192).name)
    assert names[0] == names[1] != names[2]
    assert names[2] == f"{tmp_path}, weights {weights_files_hash(tmp_path)[:8]} in vllm 0.0.0"
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    assert VllmEngine(str(tmp_path), max_model_len=8192).name not in names


def test_a_folder_without_weights_has_no_hash_and_a_torn_file_is_an_error(tmp_path):
    assert weights_files_hash(tmp_path) is None
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs")
    with pytest.raises(ValueError, match="no safetensors file"):
        weights_files_hash(tmp_path)
