"""Short samples of a user's dataset become rows that training takes."""

import json
from collections import Counter
from io import BytesIO

import pytest
import tiny
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as PILImage

from mmprolong_hf.encoding import image_limits
from mmprolong_hf.sample_encoder import samples_dataset
from mmprolong_hf.samples import list_samples
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.sample_lengths import SampleLengths
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES
from mmprolong_hf.synthesis.short_context import open_short, short_document, take_short


def encoded(seed=0, size=(84, 112), kind="PNG"):
    buffer = BytesIO()
    tiny.page(seed, *size).save(buffer, kind)
    return buffer.getvalue()


def said(*texts):
    return [{"from": ("human", "gpt")[k % 2], "value": text} for k, text in enumerate(texts)]


def row(images=1, **texts):
    return {"source": "mine#0", "images": [{"bytes": encoded(k), "path": None} for k in range(images)], **texts}


def asked(row, **options):
    return [(item["question"], item["answer"]) for item in short_document(row, **options)["questions"]]


def test_every_layout_of_texts_says_the_same():
    layouts = (
        {"question": "Why?", "answer": " Because. "},
        {"conversations": said("<image>\nWhy?", "Because.")},
        {"texts": [{"user": "Why?", "assistant": "Because."}]},
        {"messages": [{"role": "user", "content": "<image>Why?"}, {"role": "assistant", "content": "Because."}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "Why?"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Because."}]},
            ]
        },
    )
    documents = [short_document(row(**texts)) for texts in layouts]
    assert asked(row(**layouts[0])) == [("Why?", "Because.")]
    assert all(document == documents[0] for document in documents)


def test_the_bytes_of_an_image_are_kept_and_its_size_is_known():
    for kind in ("PNG", "JPEG", "WEBP"):
        image = encoded(3, (200, 90), kind)
        document = short_document({"source": "s", "image": {"bytes": image}, "question": "a?", "answer": "b"})
        assert document["images"] == [{"bytes": image, "path": None}]
        assert (document["page_sizes"], document["page_tokens"], document["num_pages"]) == ([[200, 90]], [7 * 3], 1)


def test_a_placeholder_inside_a_question_names_its_page():
    texts = said("<image>\n<image>\nWhich is red?", "The first.", "And now <image>?", "None.")
    assert asked(row(3, conversations=texts), every_turn=True) == [
        ("Which is red?", "The first."),
        ("And now (page 3)?", "None."),
    ]
    texts = said("A: <image> B: <image> Which is red?", "A.")
    assert asked(row(2, conversations=texts)) == [("A: (page 1) B: (page 2) Which is red?", "A.")]


def test_later_turns_are_left_out_unless_asked_for():
    texts = said("What?", "A cat.", "Why?", "So.")
    assert asked(row(conversations=texts)) == [("What?", "A cat.")]
    assert asked(row(conversations=texts), every_turn=True) == [("What?", "A cat."), ("Why?", "So.")]
    assert asked(row(conversations=[*texts[:2], *said("Why?", "")])) == [("What?", "A cat.")]


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"images": []}, "no_image", "no image"),
        ({"images": [None]}, "no_image", "no image"),
        ({"images": [{"bytes": None, "path": "none.png"}]}, "missing_image", r"none\.png is not a file"),
        ({"images": ["none.png"]}, "missing_image", r"none\.png is not a file"),
        ({"images": [{"bytes": b"GIF8", "path": None}]}, "broken_image", "cannot be opened"),
        ({"images": [{"bytes": encoded(kind="JPEG")[:-200], "path": None}]}, "broken_image", "truncated"),
        (
            {"images": [{"bytes": encoded(size=(3, 700)), "path": None}]},
            "narrow_image",
            "an aspect ratio of at most 200",
        ),
        ({"conversations": []}, "no_turns", "no question with an answer"),
        ({"conversations": said("a?")}, "no_turns", "no question with an answer"),
        (
            {"conversations": said("a?", "b")[::-1]},
            "no_turns",
            "gpt, human speak; expected user and assistant by turns",
        ),
        ({"conversations": said("<image>", "b")}, "empty_text", "a question or an answer is empty"),
        ({"conversations": said("a?", " ")}, "empty_text", "a question or an answer is empty"),
        ({"conversations": said("<image><image>a?", "b")}, "image_count", "shows 2 images, but it has 1"),
        ({"conversations": [{"from": "system", "value": "Be brief."}]}, "system_prompt", "a system prompt"),
    ],
)
def test_a_row_that_cannot_be_taken_is_named(change, reason, detail):
    with pytest.raises(RejectedDocument, match=detail) as refused:
        short_document(row(conversations=said("a?", "b")) | change)
    assert refused.value.reason == reason


def test_rows_are_taken_until_the_tokens_are_spent_and_each_once():
    rows = [row(question=f"Number {k // 2}?", answer="b") for k in range(40)]
    rows.insert(3, row(0, question="a?", answer="b"))
    rejected, lengths = Counter(), SampleLengths()
    each = lengths([(84, 112)], "Number 7?", "b")
    taken = list(take_short(rows, 8 * each + 3, lengths=lengths, rejected=rejected))
    assert [document["questions"][0]["question"] for document, _ in taken] == [f"Number {k}?" for k in range(8)]
    assert {tokens for _, tokens in taken} == {each}
    assert rejected == {"no_image": 1, "duplicate": 8}


def test_training_takes_the_rows_and_counts_them_alike(tmp_path):
    processor = tiny.processor("qwen3_vl")
    processor.tokenizer.save_pretrained(tmp_path)
    lengths = SampleLengths(family="qwen3_vl", tokenizer=tmp_path, limits=image_limits(processor))
    rows = [row(1 + k % 2, conversations=said("What is it?", "A cat.", f"{k}?", "b")) for k in range(4)]
    found = list(take_short(rows, 10**6, lengths=lengths, rejected=Counter(), every_turn=True))
    taken = [document for document, _ in found]
    documents = Dataset.from_list(taken, features=DOCUMENT_FEATURES)
    samples, rejections = list_samples(documents, processor, max_length=4096)
    assert rejections == []
    expected = [lengths(d["page_sizes"], q["question"], q["answer"]) for d in taken for q in d["questions"]]
    dataset = samples_dataset(samples, documents, processor)
    assert samples["length"][:] == expected
    assert sum(tokens for _, tokens in found) == sum(expected)
    assert [len(dataset[k]["sample"]["input_ids"]) for k in range(len(expected))] == expected


def test_datasets_are_read_in_one_random_order(tmp_path):
    features = Features(
        {"image": Image(), "question": Value("string"), "answer": Value("string"), "more": Value("int32")}
    )
    rows = [{"image": {"bytes": encoded(k)}, "question": f"{k}?", "answer": "b", "more": k} for k in range(20)]
    (tmp_path / "one").mkdir()
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "one" / "train.parquet")
    features = Features(
        {"images": List(Image()), "texts": List({"user": Value("string"), "assistant": Value("string")})}
    )
    rows = [{"images": [{"bytes": encoded(k)}], "texts": [{"user": f"{k}!", "assistant": "b"}]} for k in range(20)]
    (tmp_path / "two").mkdir()
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "two" / "train.parquet")
    datasets = {str(tmp_path / "one"): [], str(tmp_path / "two"): ["default"]}
    found = list(open_short(datasets, seed=0))
    assert Counter(item["source"].split("/")[-2] for item in found) == {"one": 20, "two": 20}
    assert {asked(item)[0][0] for item in found} == {f"{k}{end}" for k in range(20) for end in "?!"}
    assert Counter(item["source"].split("/")[-2] for item in found[:20])["one"] not in (0, 20)
    sources = [item["source"] for item in found]
    assert [item["source"] for item in open_short(datasets, seed=0)] == sources
    assert [item["source"] for item in open_short(datasets, seed=1)] != sources
    image = next(item for item in found if item["source"].endswith("one/default#7"))["image"]
    assert image["bytes"] == encoded(7)


def test_images_may_be_named_by_their_path(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(encoded(5))
    items = [{"image": "pictures/a.png", "conversations": said("<image>\nWhy?", "So.")}]
    (tmp_path / "train.json").write_text(json.dumps(items))
    # datasets takes a folder with pictures for a set of pictures, unless a card says which files are its rows
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: train.json\n---\n")
    (found,) = open_short({str(tmp_path): []}, seed=0)
    assert short_document(found)["images"][0]["bytes"] == encoded(5)
    assert PILImage.open(BytesIO(short_document(found)["images"][0]["bytes"])).size == (84, 112)


def test_a_dataset_without_texts_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    Dataset.from_dict({"image": ["a.png"], "question": ["a?"], "label": [1]}).to_parquet(
        tmp_path / "x" / "train.parquet"
    )
    with pytest.raises(
        ValueError, match="has the columns image, question, label; expected image or images, and question and answer"
    ):
        list(open_short({str(tmp_path / "x"): []}, seed=0))
