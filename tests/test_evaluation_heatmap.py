"""heatmap.py: what is in the picture, read back from its pixels."""

import numpy as np
from PIL import Image

from mmprolong_hf.evaluation.heatmap import draw_heatmap
from mmprolong_hf.evaluation.metrics.grid import summarize_grid


def picture(records, path, lengths=(8192, 131072), depths=(0.0, 0.5, 1.0)):
    summary = summarize_grid(records, lengths, len(depths), list(depths).index)
    draw_heatmap(summary, depths, path, title="checkpoint-7")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def share(pixels, color):
    return (np.abs(pixels - color).sum(-1) < 12).mean()


def test_colors_follow_the_scores_and_unmeasured_cells_have_none(tmp_path):
    lowest, highest = (68, 1, 84), (253, 231, 37)  # the ends of viridis
    cells = [(length, depth) for length in (8192, 131072) for depth in (0.0, 0.5, 1.0)]
    right = [{"length": length, "depth": depth, "score": 1} for length, depth in cells]
    wrong = [record | {"score": 0} for record in right]
    found, missed = picture(right, tmp_path / "right.png"), picture(wrong, tmp_path / "wrong.png")
    assert share(found, highest) > 0.3 > 0.05 > share(found, lowest)
    assert share(missed, lowest) > 0.3 > 0.05 > share(missed, highest)

    half = picture([record for record in right if record["length"] == 8192], tmp_path / "half.png")
    assert half.shape == found.shape
    assert 0.4 < share(half, highest) / share(found, highest) < 0.65
    assert share(half, lowest) < 0.05, "a cell that was not measured is drawn as a zero"
    assert share(half, (192, 192, 192)) > 5 * share(found, (192, 192, 192)), "no hatching"


def test_nothing_measured_is_still_a_picture(tmp_path):
    pixels = picture([], tmp_path / "none.png", lengths=(1000,), depths=(0.5,))
    assert min(pixels.shape[:2]) > 200
