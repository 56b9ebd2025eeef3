"""What is called of vLLM, by a stand-in for it: vLLM itself needs a GPU and is no dependency."""

import base64
import io
import sys
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from mmprolong_hf.evaluation.requests import Answer, Ask, Context, PageImage
from mmprolong_hf.evaluation.vllm_engine import VllmEngine

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
