"""The files of words that a plan asks with."""

import hashlib

from mmprolong_hf.synthesis.plan import BuildPlan
from mmprolong_hf.synthesis.prompt_files import HERE, prompt_files
from mmprolong_hf.synthesis.teacher.exemplars import EXEMPLARS
from mmprolong_hf.synthesis.yaml_options import read_options

MODEL = {"model": "m", "base_url": "http://localhost:1/v1"}


def files(**values) -> dict[str, str]:
    return prompt_files(read_options(BuildPlan, {"pdfs": "p", "output": "o", **values}, "test"))


def test_each_is_named_with_the_sha256_of_its_text():
    (name, digits) = files().popitem()
    assert name == "templates/extractive.yaml"
    assert digits == hashlib.sha256((HERE / name).read_bytes()).hexdigest()[:12]


def test_a_teacher_is_asked_by_the_files_of_its_tasks_and_style(tmp_path):
    asked = files(teacher=MODEL | {"style": "tagged"}, asking={"tasks": {"reasoning": 2}})
    names = ["ask.md", "reasoning.md", "reply-tagged.md", "repair.md", "exemplars.yaml"]
    assert list(asked) == [f"prompts/{name}" for name in names]
    mine = tmp_path / "mine.yaml"
    mine.write_text(EXEMPLARS.read_text() + "# mine\n")
    other = files(teacher=MODEL, asking={"exemplars": str(mine)})
    assert other["mine.yaml"] not in asked.values()
    assert str(tmp_path) not in " ".join(other)


def test_a_judge_is_asked_by_the_files_of_its_checks():
    some = files(verify={"judge": {"endpoint": MODEL, "checks": ["closed_book"]}})
    assert [name for name in some if name.startswith("verification")] == [
        f"verification/prompts/{name}.md" for name in ("closed", "compare", "reply_json")
    ]
    every = files(verify={"judge": {"endpoint": MODEL}})
    assert {"verification/prompts/answer.md", "verification/prompts/closed.md"} <= set(every)


def test_transcriptions_and_scans_have_theirs():
    tasks = {"per_task": {"ocr-full": 1}}
    scanned = files(questions=tasks, mixture={"shares": {"ocr-full": 1.0}}, pool={"scanned": "keep"}, scans=MODEL)
    assert list(scanned)[1:] == ["templates/transcription.yaml", "prompts/transcribe_page.md", "prompts/repair.md"]
    assert "templates/transcription.yaml" not in files()
