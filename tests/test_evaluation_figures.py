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


def test_the_same_report_is_the_same_picture(tmp_path):
    report = report_of(answers(0.5, num=3, lengths=(None, 8192, 65536)))
    for name in "ab":
        draw_accuracy(report, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
