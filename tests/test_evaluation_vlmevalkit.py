"""evaluation/vlmevalkit.py: files laid out as VLMEvalKit's code writes them, made in code."""

import csv
import json

import pandas
import pytest
from answered import answer

from mmprolong_hf.evaluation.vlmevalkit import (
    ANSWER_COLUMNS,
    SuiteScore,
    read_results,
    short_context_average,
    write_answers,
)

MODEL = "Qwen2.5-VL-7B-Instruct"


def write(folder, name: str, content):
    """A file as VLMEvalKit's `dump` writes it."""
    path = folder / f"{MODEL}_{name}"
    if path.suffix == ".json":
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        pandas.DataFrame(content).to_csv(path, sep=separator, index=False, encoding="utf-8", quoting=csv.QUOTE_ALL)
    return path


def read(folder, name: str, content) -> list[tuple]:
    """(dataset, metric, score, num) of each score of one file."""
    path = write(folder, name, content)
    found = read_results(path)
    assert {score.source for score in found} == {path.name}
    return [(score.dataset, score.metric, round(score.score, 6), score.num) for score in found]


@pytest.mark.parametrize("suite", ["Video-MME", "LongVideoBench"])
def test_ratings_of_video_suites(tmp_path, suite):
    rating = {"short": {"overall": "0.80"}, "overall": {"overall": "0.678", "task_type": {"OCR Problems": "nan"}}}
    found = read(tmp_path, f"{suite}_1fps_rating.json", rating)
    assert found == [(suite, "accuracy of the answered", 67.8, None)]


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_a_failed_question_counts_as_wrong(tmp_path, form):
    scores = [("A", 1), ("B\nC", 0), ("", None), ("D", -1), ("E", float("nan"))]
    rows = [{"index": k, "prediction": said, "score": score} for k, (said, score) in enumerate(scores)]
    assert read(tmp_path, f"Video-MME_1fps_score.{form}", rows) == [("Video-MME", "accuracy", 20.0, 5)]


def test_mlvu_has_the_mean_of_its_multiple_choice_questions(tmp_path):
    table = {
        "task": ["ego", "M-Avg", "G-Avg"],
        "success": [5, 70.0, 9],
        "overall": [10, 100.0, 3],
        "acc": [50.0, 70.0, 3.0],
    }
    assert read(tmp_path, "MLVU_1fps_acc.csv", table) == [("MLVU/M-Avg", "accuracy", 70.0, 100)]


@pytest.mark.parametrize("name", ["MMBench_DEV_EN_V11", "RealWorldQA", "MMMU_Pro_10c"])
def test_multiple_choice_without_a_split(tmp_path, name):
    table = {"split": ["none"], "Overall": [0.8125], "AR": [0.5]}
    assert read(tmp_path, f"{name}_acc.csv", table) == [(name, "accuracy", 81.25, None)]


def test_multiple_choice_with_splits(tmp_path):
    table = {"split": ["dev", "validation"], "Overall": [0.5, 0.55], "Art": [0.5, 0.6]}
    found = read(tmp_path, "MMMU_DEV_VAL_acc.csv", table)
    assert found == [("MMMU_DEV_VAL/dev", "accuracy", 50.0, None), ("MMMU_DEV_VAL/validation", "accuracy", 55.0, None)]


def test_mathvista(tmp_path):
    table = {
        "Task&Skill": ["Overall", "VQA"],
        "tot": [1000, 10],
        "prefetch": [1, 1],
        "hit": [682, 5],
        "acc": [68.2, 50.0],
    }
    assert read(tmp_path, "MathVista_MINI_gpt-4o-mini_score.csv", table) == [
        ("MathVista_MINI", "accuracy", 68.2, 1000)
    ]


def test_ocrbench(tmp_path):
    content = {"Text Recognition": 250, "Final Score": 864, "Final Score Norm": 86.4}
    assert read(tmp_path, "OCRBench_score.json", content) == [("OCRBench", "accuracy", 86.4, None)]


def test_mmlongbench_by_task(tmp_path):
    table = {"task": ["overall", "documentQA"], "metric": ["avg", "avg"], "num": [900, 300], "score": [0.5, 0.625]}
    assert read(tmp_path, "MMLongBench_128K_score.csv", table) == [
        ("MMLongBench_128K/overall", "mean of questions", 50.0, 900),
        ("MMLongBench_128K/documentQA", "mean of questions", 62.5, 300),
    ]


def test_mmlongbench_by_dataset(tmp_path):
    table = {
        "index": [0, 1, 2],
        "source_dataset": ["slidevqa", "slidevqa", "longdocurl"],
        "metric": ["doc_qa_llm"] * 3,
    }
    assert read(tmp_path, "MMLongBench_512K_mmlb_eval.tsv", table | {"score": [1, 0.5, 0]}) == [
        ("MMLongBench_512K/slidevqa", "doc_qa_llm", 75.0, 2),
        ("MMLongBench_512K/longdocurl", "doc_qa_llm", 0.0, 1),
    ]


def test_mmlongbench_doc(tmp_path):
    table = {
        "category": ["overall_f1", "overall_acc", "text"],
        "num": [1082, 1082, 300],
        "avg_score": [0.41, 0.4, 0.3],
    }
    found = read(tmp_path, "MMLongBench_DOC_gpt-4o_score.csv", table)
    assert found == [("MMLongBench_DOC", "F1", 41.0, 1082), ("MMLongBench_DOC", "accuracy", 40.0, 1082)]


def test_a_folder_is_read_without_what_is_no_score(tmp_path):
    write(tmp_path, "RealWorldQA_acc.csv", {"split": ["none"], "Overall": [0.7]})
    write(tmp_path, "OCRBench_score.json", {"Final Score Norm": 86.4})
    write(tmp_path, "OCRBench.tsv", {"index": [0], "prediction": ["x"]})  # predictions
    write(tmp_path, "OCRBench_v2_acc.csv", {"any": [0]})
    write(tmp_path, "Video-MME-v2_1fps_rating.json", {"any": 0})
    (tmp_path / "Video-MME_1fps_score.xlsx").touch()
    assert [score.dataset for score in read_results(tmp_path)] == ["OCRBench", "RealWorldQA"]


def test_a_folder_without_scores_is_told(tmp_path):
    with pytest.raises(ValueError, match="no score file of a known suite, expected VLMEvalKit's outputs/MODEL"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Other_acc.csv", {"split": ["none"], "Overall": [1]}, "names no known suite"),
        (
            "RealWorldQA_acc.csv",
            {"split": ["none"], "all": [1]},
            r"the columns \['all', 'split'\], which is no layout",
        ),
        ("OCRBench_score.json", {"Final": 1}, r"the keys \['Final'\], expected `overall`"),
        ("OCRBench_score.xlsx", None, "no .json, .csv or .tsv: run VLMEvalKit with PRED_FORMAT=tsv"),
    ],
)
def test_an_unknown_file_is_told(tmp_path, name, content, message):
    path = tmp_path / f"{MODEL}_{name}" if content is None else write(tmp_path, name, content)
    with pytest.raises(ValueError, match=message):
        read_results(path)


SIX = (
    "MMBench_DEV_EN_V11/dev",
    "RealWorldQA",
    "MMMU_DEV_VAL/validation",
    "MMMU_Pro_10c",
    "MathVista_MINI",
    "OCRBench",
)


def suite_score(dataset: str, score: float) -> SuiteScore:
    return SuiteScore(dataset, "accuracy", score, None, f"{dataset} file")


def test_the_short_context_average_is_of_six_suites():
    scores = [suite_score(dataset, 10.0 * k) for k, dataset in enumerate(SIX, 1)]
    others = [suite_score("MMMU_DEV_VAL/dev", 1.0), suite_score("Video-MME", 1.0)]
    assert short_context_average([*others, *scores]) == 35.0
    assert short_context_average(scores[1:]) is None


def test_the_short_context_average_refuses_to_choose():
    scores = [suite_score("MMBench_DEV_EN_V11/dev", 1.0), suite_score("MMBench_TEST_EN_V11/test", 2.0)]
    with pytest.raises(ValueError, match=r"one suite has 2 scores \(MMBench_DEV_EN_V11/dev of .*leave the others out"):
        short_context_average(scores)


def document_answers() -> list[dict]:
    about = {"doc_name": "report", "asked": 'Based on Document report, answer the following question. What is "x"?'}
    return [
        answer("slidevqa/128K/slidevqa_7", "slidevqa", 131072, prediction=' "12"\t3\nor so', **about),
        answer("longdocurl/128K/longdocurl_9", "longdocurl", 131072, prediction="", error="out of memory", **about),
        answer("mine/128K/1", "mine", 131072, **about),
    ]


def test_answers_go_to_vlmevalkit_and_come_back_as_scores(tmp_path):
    path = tmp_path / f"{MODEL}_MMLongBench_128K.tsv"
    assert write_answers(document_answers(), path) == 2
    table = pandas.read_csv(path, sep="\t")
    assert tuple(table.columns) == ANSWER_COLUMNS
    assert list(table["prediction"]) == ['Answer: "12"\t3\nor so', "Answer:"]
    assert list(table["source_dataset"]) == ["slidevqa", "longdocurl"]
    assert list(table["question_id"]) == ["slidevqa_7", "longdocurl_9"]
    assert (set(table["task"]), set(table["mmlb_subset"])) == ({"documentQA"}, {"documentQA_128"})
    extra = json.loads(table["extra_info"][0])
    assert (extra["answer"], extra["answer_format"], extra["doc_name"]) == ("42", "Integer", "report")
    assert extra["question"] == document_answers()[0]["asked"]

    judged = table.assign(metric="doc_qa_llm", score=[1.0, 0.0])  # as VLMEvalKit adds them
    found = read(tmp_path, "MMLongBench_128K_mmlb_eval.tsv", judged)
    assert [(dataset, score) for dataset, _, score, _ in found] == [
        ("MMLongBench_128K/slidevqa", 100.0),
        ("MMLongBench_128K/longdocurl", 0.0),
    ]


def test_half_a_surrogate_pair_can_be_written(tmp_path):
    broken = document_answers()[0] | {"prediction": "\ud83d"}
    write_answers([broken], tmp_path / "answers.tsv")
    assert list(pandas.read_csv(tmp_path / "answers.tsv", sep="\t")["prediction"]) == ["Answer:?"]


def test_a_file_has_one_length(tmp_path):
    answers = [document_answers()[0], document_answers()[1] | {"context_length": 65536}]
    with pytest.raises(ValueError, match=r"the lengths \[65536, 131072\], expected one"):
        write_answers(answers, tmp_path / "answers.tsv")
