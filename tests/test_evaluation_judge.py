"""A judge behind a real server on this machine: its verdicts, its failures, and runs that are killed."""

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import asdict

import pytest
from scripted_server import Answer, ScriptedServer, error, seeded_faults, texts

from mmprolong_hf.evaluation import judge as judge_file
from mmprolong_hf.evaluation.judge import OFFICIAL, OWN_PROMPTS, Case, Judge, JudgePrompts, load_judge_prompts
from mmprolong_hf.evaluation.metrics.judge_score import score
from mmprolong_hf.synthesis.endpoint import Budget, BudgetSpent, EndpointOptions, EndpointRefused, ReplyCache

RIGHT, WRONG = '[JSON]: {"answer_score": 1}', '[JSON]: {"answer_score": 0}'


@pytest.fixture
def replies():
    cache = ReplyCache(":memory:")
    yield cache
    cache.close()


def judge(server, replies, prompts=None, *, budget=None, temperature=0.0, **values):
    options = EndpointOptions("grader", server.url, **{"backoff": 0.001, "timeout": 5.0, **values})
    return Judge(options, replies, prompts, temperature=temperature, budget=budget)


def case(i, answer_format="String", answer="yes"):
    return Case(f"id-{i}", f"question {i}?", answer, f"prediction {i}", answer_format)


def test_the_judge_is_sent_its_prompt_and_the_case_as_one_message(replies):
    with ScriptedServer(lambda body: RIGHT) as server:
        asked = judge(server, replies, JudgePrompts("Right or wrong?\n", "How many?\n"), max_tokens=256)
        list(asked.verdicts([case(1), case(2, "List", '["a"]')]))
        bodies = sorted(server.requests, key=texts, reverse=True)
    block = "[Current Case]\n<Question>: question {0}?\n<Standard Answer>: {1}\n<Student Answer>: prediction {0}\n\n"
    sent = ["Right or wrong?\n" + block.format(1, "yes"), "How many?\n" + block.format(2, '["a"]')]
    assert [texts(body) for body in bodies] == sent
    for body in bodies:
        assert [message["role"] for message in body["messages"]] == ["user"]
        rest = {name: body[name] for name in body if name != "messages"}
        assert rest == {"model": "grader", "temperature": 0.0, "max_tokens": 256}


def test_a_verdict_holds_what_decides_it(replies):
    counts = 'Two of two.\n[JSON]: {"student_answer_count": 2, "covered_count": 2}'
    prompts = JudgePrompts("Right or wrong?\n", "How many?\n")
    with ScriptedServer(lambda body: counts if "How many?" in texts(body) else RIGHT) as server:
        asked = judge(server, replies, prompts, temperature=0.5)
        verdicts = {v.id: v for v in asked.verdicts([case(1), case(2, "List", '["a", "b", "c"]')])}
        assert {body["temperature"] for body in server.requests} == {0.5}
    shas = [hashlib.sha256(text.encode()).hexdigest() for text in (prompts.binary, prompts.list)]
    version = f"{shas[0][:8]}+{shas[1][:8]}"
    about = {"error": None, "judge": "grader", "temperature": 0.5, "prompt_version": version}
    assert asdict(verdicts["id-1"]) == about | {"id": "id-1", "score": 1.0, "reply": RIGHT, "prompt_sha256": shas[0]}
    assert asdict(verdicts["id-2"]) == about | {"id": "id-2", "score": 0.8, "reply": counts, "prompt_sha256": shas[1]}
    assert asked.name == f"grader, temperature 0.5, prompt {version}"


@pytest.mark.parametrize(
    ("answer", "value", "reason", "reply"),
    [
        ("Looks right to me.", 0.0, "bad_reply: the judge gave no score", "Looks right to me."),
        ("[Score]: 5 points", 1.0, "bad_reply: the judge gave 5, expected 0 to 1", "[Score]: 5 points"),
        (Answer("Let me see", finish_reason="length"), 0.0, "truncated: the reply ended after", "Let me see"),
        (Answer("", finish_reason="content_filter"), 0.0, "filtered: ", ""),
        (Answer(" "), 0.0, "empty: the reply has no text", " "),
        (error(400, "too long"), 0.0, "http_400: ", ""),
        (error(500, "fault"), 0.0, "http_500: ", ""),
        (Answer("lost", fault="hang"), 0.0, "timed_out: no answer after 0.5 s; given up after 2 tries", ""),
        (Answer("lost", fault="cut"), 0.0, "cut: ", ""),
        (Answer("lost", fault="bad_json"), 0.0, "unreadable: ", ""),
    ],
)
def test_a_judge_that_fails_says_why(replies, answer, value, reason, reply):
    with ScriptedServer(lambda body: answer if "question 1?" in texts(body) else RIGHT) as server:
        verdicts = {v.id: v for v in judge(server, replies, timeout=0.5, max_retries=1).verdicts([case(0), case(1)])}
    assert (verdicts["id-0"].score, verdicts["id-0"].error) == (1.0, None)
    failed = verdicts["id-1"]
    assert (failed.score, failed.reply) == (value, reply)
    assert failed.error.startswith(reason)


def test_a_score_in_a_reply_that_is_cut_behind_it_counts(replies):
    with ScriptedServer(lambda body: Answer(f"{RIGHT}\nMoreover", finish_reason="length")) as server:
        [verdict] = judge(server, replies).verdicts([case(1)])
    assert (verdict.score, verdict.error) == (1.0, None)


def test_a_list_whose_right_answer_is_none_is_told(replies):
    reply = '[JSON]: {"student_answer_count": 1, "covered_count": 1}'
    with ScriptedServer(lambda body: reply) as server:
        [verdict] = judge(server, replies).verdicts([case(1, "List", "not a list")])
    assert verdict.score == 0.0
    assert verdict.error.startswith("bad_reply: the judge gave counts that make no score for the gold 'not a list'")


def test_a_second_run_sends_nothing_and_says_the_same(tmp_path):
    said = {"0": RIGHT, "1": "nonsense", "2": Answer("cut", finish_reason="length")}
    runs = []
    with ScriptedServer(lambda body: said[texts(body).split("question ")[-1][0]]) as server:
        for _ in range(2):
            replies = ReplyCache(tmp_path / "verdicts.sqlite")
            runs.append(sorted(judge(server, replies).verdicts(map(case, range(3))), key=lambda v: v.id))
            replies.close()
            assert len(server.requests) == 3
    assert runs[0] == runs[1]
    assert [verdict.error is None for verdict in runs[0]] == [True, False, False]


def test_what_timed_out_is_asked_again_and_what_changes_the_verdict_is_asked_anew(replies):
    answers = iter([error(500, "fault")])
    with ScriptedServer(lambda body: next(answers, RIGHT)) as server:
        assert [v.score for v in judge(server, replies, max_retries=0).verdicts([case(1)])] == [0.0]
        assert [v.score for v in judge(server, replies).verdicts([case(1)])] == [1.0]
        assert len(server.requests) == 2
        for asked in (
            judge(server, replies, temperature=1.0),
            judge(server, replies, JudgePrompts("Other words.", "Other words.")),
            judge(server, replies, max_tokens=7),
        ):
            assert [v.score for v in asked.verdicts([case(1)])] == [1.0]
        list(judge(server, replies).verdicts([Case("id-1", "question 1?", "yes", "another", "String")]))
        assert len(server.requests) == 6


@pytest.mark.parametrize("max_retries", [12, 0])
def test_every_case_has_one_verdict_from_a_server_with_faults(replies, max_retries):
    with ScriptedServer(lambda body: RIGHT if "question 7" in texts(body) else WRONG, seeded_faults(2)) as server:
        asked = judge(server, replies, max_retries=max_retries, timeout=3.0, concurrency=32, backoff=0.002)
        verdicts = list(asked.verdicts(map(case, range(200))))
        shown = server.shown
    assert sorted(v.id for v in verdicts) == sorted(f"id-{i}" for i in range(200))
    failed = Counter(v.error.split(":")[0] for v in verdicts if v.error is not None)
    if max_retries:
        assert failed == {}
        assert sum(v.score for v in verdicts) == 11  # 7 and 70 to 79
    else:
        counts = {"http_429": "429", "http_500": "500", "cut": "cut", "unreadable": "bad_json", "timed_out": "hang"}
        assert failed == {reason: shown[fault] for reason, fault in counts.items()}


def test_a_refused_key_stops_the_run_and_nothing_secret_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-secret")
    replies = ReplyCache(tmp_path / "verdicts.sqlite")
    with ScriptedServer(lambda body: error(401, "wrong key: sk-secret")) as server:
        refused = judge(server, replies, api_key_env="JUDGE_KEY").verdicts(map(case, range(3)))
        with pytest.raises(EndpointRefused, match=r"wrong key: \*\*\*"):
            list(refused)
    told = error(400, "no model for sk-secret")
    with ScriptedServer(lambda body: told if "question 0?" in texts(body) else RIGHT) as server:
        asked = judge(server, replies, api_key_env="JUDGE_KEY")
        verdicts = list(asked.verdicts(map(case, range(2))))
        assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-secret"}
    replies.close()
    text = json.dumps([asked.name, *map(asdict, verdicts)])
    assert "no model for ***" in text
    assert "sk-secret" not in text
    for path in tmp_path.iterdir():
        assert b"sk-secret" not in path.read_bytes()


def test_a_budget_stops_the_run(replies):
    budget = Budget(0.02)
    with ScriptedServer(lambda body: RIGHT) as server:
        asked = judge(server, replies, budget=budget, prompt_price=1.0, completion_price=1.0)
        with pytest.raises(BudgetSpent, match="give a larger max_usd"):
            list(asked.verdicts(map(case, range(50))))
    assert 0 < budget.spent <= 0.02
    budget.close()


RUN = """
import sys
from mmprolong_hf.evaluation.judge import Case, Judge
from mmprolong_hf.synthesis.endpoint import EndpointOptions, ReplyCache
judge = Judge(EndpointOptions("grader", sys.argv[1], concurrency=4), ReplyCache(sys.argv[2]))
for verdict in judge.verdicts([Case(f"id-{i}", f"question {i}?", "yes", "yes", "String") for i in range(60)]):
    print(verdict.id, verdict.score, verdict.error, flush=True)
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    path = tmp_path / "verdicts.sqlite"
    command = [sys.executable, "-c", RUN]
    with ScriptedServer(lambda body: Answer(RIGHT, delay=0.1)) as server:
        process = subprocess.Popen([*command, server.url, str(path)], stdout=subprocess.PIPE, text=True)
        first = [process.stdout.readline() for _ in range(15)]
        process.send_signal(signal.SIGKILL)
        process.communicate()
    connection = sqlite3.connect(path)
    [num_known] = connection.execute("SELECT count(*) FROM replies").fetchone()
    connection.close()
    assert 15 <= num_known < 60
    with ScriptedServer(lambda body: RIGHT) as server:
        again = [
            subprocess.run([*command, server.url, str(path)], capture_output=True, text=True, check=True).stdout
            for _ in range(2)
        ]
        assert len(server.requests) == 60 - num_known
    assert set(first) <= set(again[0].splitlines(keepends=True))
    for lines in again:
        assert sorted(lines.splitlines()) == sorted(f"id-{i} 1.0 None" for i in range(60))


def test_own_prompts_ask_for_what_is_parsed_and_their_examples_score():
    prompts = load_judge_prompts()
    for text, answer_format, expected in (
        (prompts.binary, "String", [1.0, 0.0, 1.0, 0.0]),
        (prompts.list, "List", [1.0, 0.4, 2 / 7]),
    ):
        assert text.endswith("# The case to grade\n")
        examples = text.split("[Example ")[1:]
        golds = [example.split("<Standard Answer>: ")[1].splitlines()[0] for example in examples]
        scores = [score(gold, example, answer_format) for gold, example in zip(golds, examples)]
        assert [found.value for found in scores] == pytest.approx(expected)
        assert [found.error for found in scores] == [None] * len(expected)


def test_only_the_two_official_prompts_are_labelled_so(monkeypatch, tmp_path):
    binary, listed = "Upstream's words", "and its words\nfor lists"
    monkeypatch.setattr(judge_file, "OFFICIAL_BINARY", hashlib.sha256(binary.encode()).hexdigest())
    monkeypatch.setattr(judge_file, "OFFICIAL_LIST", hashlib.sha256(listed.encode()).hexdigest())
    assert JudgePrompts(binary, listed).version == OFFICIAL
    for other in (JudgePrompts(binary, listed + "\n"), JudgePrompts(binary, binary), JudgePrompts(listed, binary)):
        assert other.version != OFFICIAL
    assert load_judge_prompts().version != OFFICIAL
    path = tmp_path / "utils_prompt.py"
    path.write_text(f'raise SystemExit("not run")\nA = """{binary}"""\nB = {{"list": {listed!r}}}\nC = 5\n')
    assert load_judge_prompts(path) == JudgePrompts(binary, listed)
    path.write_text(f"A = {binary!r}")
    with pytest.raises(ValueError, match=r"holds 1 texts, none with the sha256 of the official prompt \(list\)"):
        load_judge_prompts(path)


def test_a_folder_of_prompts_is_read_as_it_is(tmp_path):
    (tmp_path / "binary.md").write_bytes(b"one\r\n\n")
    with pytest.raises(FileNotFoundError, match=r"list\.md"):
        load_judge_prompts(tmp_path)
    (tmp_path / "list.md").write_bytes(b"two")
    assert load_judge_prompts(tmp_path) == JudgePrompts("one\r\n\n", "two")
    assert load_judge_prompts(OWN_PROMPTS) == load_judge_prompts()
