"""Plans are read strictly, inherit, and are told apart by what they change."""

import pytest
import yaml

from mmprolong_hf.synthesis.plan import BuildPlan, fingerprint, folder_plan, load_plan, parse_changes
from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.yaml_options import read_options

JOBS = {"kind": "jobs", "options": {"bucket": "user/pdfs", "mount_path": "/data", "dependencies": ["mmprolong_hf"]}}
MODEL = {"model": "a-model", "base_url": "http://localhost:1/v1"}


def write(path, **values):
    path.write_text(yaml.safe_dump(values))
    return path


def test_sections_become_options(tmp_path):
    path = write(
        tmp_path / "plan.yaml",
        pdfs="pdfs",
        output="out",
        max_usd=5,
        pool={"min_pages": 32, "languages": ["en", "zh"]},
        teacher=MODEL,
        asking={"tasks": {"reasoning": 2}},
        verify={"judge": {"endpoint": MODEL, "checks": ["closed_book"]}},
        mixture={"shares": {"reasoning": 1.0}},
        engine={"workers": 4},
    )
    plan = load_plan(path, {"pool.max_pages": 50, "seed": 3})
    assert (plan.pool.min_pages, plan.pool.max_pages, plan.pool.languages) == (32, 50, ("en", "zh"))
    assert (plan.seed, plan.max_usd, plan.engine.workers) == (3, 5.0, 4)
    assert plan.teacher.model == "a-model"
    assert plan.verify.judge.checks == ("closed_book",)
    assert len(plan.endpoints) == 2


def test_a_variant_says_only_what_it_changes(tmp_path):
    shares = {"extract-single": 0.5, "reasoning": 0.5}
    write(
        tmp_path / "base.yaml",
        pdfs="p",
        output="base",
        pool={"min_pages": 32, "max_pages": 50},
        mixture={"shares": shares},
    )
    path = write(
        tmp_path / "long.yaml",
        extends="base.yaml",
        output="long",
        pool={"max_pages": 100},
        mixture={"shares": {"reasoning": 1.0}},
    )
    plan = load_plan(path)
    assert (plan.pdfs, plan.output, plan.pool.min_pages, plan.pool.max_pages) == ("p", "long", 32, 100)
    assert plan.mixture.shares == {"reasoning": 1.0}  # merged shares would not add up


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pool": {"min_page": 3}}, r"pool: unknown key 'min_page', did you mean 'min_pages'\?"),
        ({"zebra": 1}, "unknown key 'zebra', expected some of pdfs, output"),
        ({"pool": {"min_pages": "three"}}, "min_pages is 'three', expected int"),
        ({"pool": {"min_pages": True}}, "min_pages is True, expected int"),
        ({"pool": {"languages": "en"}}, "languages is 'en', expected a list"),
        ({"pool": 3}, "pool is 3, expected keys and values"),
        ({"pool": {"min_pages": 0}}, "pool: min_pages is 0, expected at least 1"),
        ({"seed": None}, "seed is empty, expected a value"),
        ({"teacher": {"style": "json"}}, "teacher has no model; expected at least model"),
        ({"output": False}, "output is False, expected text; quote it"),
        ({"pool": {"languages": ["en", False]}}, "languages has False, expected text; quote it"),
        ({"pool": {"languages": ["en", None]}}, "languages is empty, expected a value"),
        ({"pages": {"memory_gb": float("inf")}}, "memory_gb is inf, expected a finite number"),
        ({"pages": {"time_limit": float("nan")}}, "time_limit is nan, expected a finite number"),
        ({"questions": {"per_task": {"reasoning": "many"}}}, "per_task: reasoning is 'many', expected int"),
        ({"questions": {"per_task": {"reasoning": True}}}, "per_task: reasoning is True, expected int"),
        ({"questions": {"per_task": ["reasoning"]}}, r"per_task is \['reasoning'\], expected keys and values"),
        ({"mixture": {"shares": {"reasoning": "0.5"}}}, "shares: reasoning is '0.5', expected float"),
        ({"mixture": {"lengths": {1: 1.0}}}, "lengths has the key 1, expected text; quote it"),
        ({"mixture": {"short_datasets": {"a": "b"}}}, "short_datasets: a is 'b', expected a list"),
        ({"extends": ["a.yaml"]}, r"extends is \['a.yaml'\], expected the name of one plan"),
        ({"engine": {"options": {"tasks": 3}}}, "engine.options has tasks, which the build decides itself"),
        ({"engine": {"options": {"workers": 3, "logging_dir": "l"}}}, "engine.options has workers, logging_dir"),
        ({"teacher": MODEL, "questions": {"per_task": {"extract-single": 1}},
          "mixture": {"shares": {"extract-single": 1.0}}},
         r"asking.tasks has extract-multi, which questions.per_task has not \(extract-single\): .* thrown away"),
        ({"mixture": {"shares": {"ocr-full": 1.0}}}, "mixture.shares has ocr-full, which questions.per_task has not"),
        ({"test_fraction": 1.0}, "test_fraction is 1.0, expected at least 0 and less than 1"),
        ({"max_usd": 3.0}, "max_usd is 3.0, but no model is asked"),
        ({"pool": {"scanned": "keep"}}, "pool.scanned is 'keep' and scans missing"),
        ({"scans": MODEL}, "pool.scanned is 'reject' and scans given"),
        ({"max_usd": 3.0, "teacher": MODEL, "engine": {"kind": "ray"}}, "machines cannot share a budget"),
        ({"teacher": MODEL, "engine": JOBS}, "locks on a bucket do not reach other Jobs"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path, values, message):
    path = write(tmp_path / "plan.yaml", **{"pdfs": "pdfs", "output": "out", **values})
    with pytest.raises(ValueError, match=message):
        load_plan(path)


def test_files_that_are_no_plan(tmp_path):
    with pytest.raises(ValueError, match=r"none\.yaml is not there"):
        load_plan(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    with pytest.raises(ValueError, match="holds list, expected keys and values"):
        load_plan(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ValueError, match=r"broken.yaml is no YAML"):
        load_plan(tmp_path / "broken.yaml")
    write(tmp_path / "a.yaml", extends="b.yaml")
    write(tmp_path / "b.yaml", extends="a.yaml")
    with pytest.raises(ValueError, match="extends itself"):
        load_plan(tmp_path / "a.yaml")
    with pytest.raises(ValueError, match=r"c\.yaml has no output; expected at least pdfs, output"):
        load_plan(write(tmp_path / "c.yaml", pdfs="pdfs"))


def test_changes_of_a_command_line():
    assert parse_changes(["a.b=[1, 2]", "c=null"]) == {"a.b": [1, 2], "c": None}
    with pytest.raises(ValueError, match="--set is given 'a', expected KEY=VALUE"):
        parse_changes(["a"])
    with pytest.raises(ValueError, match=r"--set a is given '\[', which is no YAML"):
        parse_changes(["a=["])
    with pytest.raises(ValueError, match=r"seed\.x cannot be set: seed is 3, expected keys and values"):
        folder_plan("pdfs", {"output": "o", "seed": 3, "seed.x": 1})
    assert folder_plan("pdfs", {"output": "o", "pool.max_pages": 5}).pool == PoolOptions(min_pages=1, max_pages=5)


def test_a_fingerprint_changes_with_what_it_is_of(monkeypatch):
    import mmprolong_hf.synthesis.plan as module

    one = fingerprint("scan", PoolOptions())
    assert one == fingerprint("scan", PoolOptions())
    assert one != fingerprint("scan", PoolOptions(min_pages=21))
    monkeypatch.setattr(module, "_code", lambda: "another version")
    assert one != fingerprint("scan", PoolOptions())


def test_options_know_what_they_need():
    with pytest.raises(ValueError, match="here has no pdfs and no output; expected at least pdfs, output"):
        read_options(BuildPlan, {}, "here")


def test_a_key_that_stands_twice_is_no_plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("pdfs: p\noutput: o\npool: {min_pages: 3, min_pages: 4}\n")
    with pytest.raises(ValueError, match="key 'min_pages' stands twice"):
        load_plan(path)
    with pytest.raises(ValueError, match="key 'reasoning' stands twice"):
        parse_changes(["mixture.shares={reasoning: 1.0, reasoning: 0.5}"])
    path.write_text(
        "pdfs: p\noutput: o\nteacher: &model {model: m}\nverify: {judge: {endpoint: {<<: *model, model: j}}}\n"
    )
    plan = load_plan(path)
    assert (plan.teacher.model, plan.verify.judge.endpoint.model) == ("m", "j")
    path.write_bytes("pdfs: Bücher\noutput: o\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is no YAML in UTF-8"):
        load_plan(path)


def test_a_task_that_is_not_asked_need_not_be_kept(tmp_path):
    values = {
        "questions": {"per_task": {"extract-single": 2}},
        "asking": {"tasks": {"extract-single": 2, "reasoning": 0}},
        "mixture": {"shares": {"extract-single": 1, "reasoning": 0}},
    }
    plan = load_plan(write(tmp_path / "plan.yaml", pdfs="p", output="o", teacher=MODEL, **values))
    assert plan.mixture.shares == {"extract-single": 1.0, "reasoning": 0.0}
    del values["asking"]
    load_plan(write(tmp_path / "rules.yaml", pdfs="p", output="o", **values))  # nothing is asked of a model
    with pytest.raises(ValueError, match="thrown away"):
        load_plan(write(tmp_path / "plan.yaml", pdfs="p", output="o", teacher=MODEL, **values))
