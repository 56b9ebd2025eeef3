import numpy as np
import pytest
from answered import answers, judged, report_of
from PIL import Image

from mmprolong_hf.evaluation.figures import draw_accuracy
from mmprolong_hf.evaluation.scoring_run import score_by_rule

BLUE = (31, 119, 180)  # the first line's color


def height_of(path, color) -> float:
    """Mean row of a color in a picture, from the top."""
    rows, _ = np.nonzero((np.abs(np.asarray(Image.open(path).convert("RGB")).astype(int) - color) < 40).all(axis=2))
    assert len(rows) > 50
    return rows.mean()


def test_a_better_run_is_drawn_higher(tmp_path):
    for name, right in (("good", 1.0), ("bad", 0.0)):
        records = [record for record in answers(right, num=10) if record["dataset"] == "mmlongdoc"]
        draw_accuracy(report_of(records), tmp_path / f"{name}.png")
    assert height_of(tmp_path / "good.png", BLUE) < height_of(tmp_path / "bad.png", BLUE) - 100


@pytest.mark.parametrize("num", [1, 2])
def test_each_method_has_a_panel(tmp_path, num):
    records = answers(0.5, num=3)
    scores = score_by_rule(records) + (judged(records) if num == 2 else [])
    draw_accuracy(report_of(records, scores), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (810 * num, 570)


def test_an_average_without_an_interval_has_no_bar(tmp_path):
    report = report_of(answers(1.0, num=3, lengths=(65536, 131072)))
    averages = report["methods"][0]["averages"]
    assert {(row["low"], row["high"]) for row in averages} == {(None, None)}
    draw_accuracy(report, tmp_path / "none.png")
    averages[:] = [row | {"low": 60.0, "high": 100.0} for row in averages]
    draw_accuracy(report, tmp_path / "known.png")
    num_black = [
        (np.asarray(Image.open(tmp_path / name).convert("L")) < 40).sum() for name in ("none.png", "known.png")
    ]
    assert num_black[1] - num_black[0] > 2 * 0.4 * 200  # two bars over 40 of 104 points


def test_the_same_report_is_the_same_picture(tmp_path):
    report = report_of(answers(0.5, num=3, lengths=(None, 8192, 65536)))
    for name in "ab":
        draw_accuracy(report, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
