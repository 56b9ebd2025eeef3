"""The picture of a mixture, read back from its pixels."""

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from mmprolong_hf.synthesis.charts import COLORS, draw_mixture
from mmprolong_hf.synthesis.mixture import MixtureOptions
from mmprolong_hf.synthesis.schema import TASKS
from mmprolong_hf.synthesis.selection import COLUMNS, select_samples

CHOSEN, TARGET = (158, 202, 225), (214, 39, 40)


def picture(path, num_documents=50, **options):
    cells = [
        (f"{k // 3}", f"{k}?", TASKS[k % 3], "kind", k % 10, 40_000 + 1_500 * (k // 3), 40)
        for k in range(3 * num_documents)
    ]
    table = {name: list(column) for name, column in zip(COLUMNS, zip(*cells) if cells else [()] * len(COLUMNS))}
    options = MixtureOptions(**options)
    draw_mixture(table, select_samples(table, options, 0), options, path, title="a set")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def columns_with(pixels, color):
    """Where a color is, from left to right, 0 to 1."""
    return np.flatnonzero((np.abs(pixels - color).sum(-1) < 12).sum(0) > 2) / pixels.shape[1]


def test_bars_stand_where_the_lengths_are_and_the_target_is_drawn(tmp_path):
    whole = picture(tmp_path / "whole.png")
    long = picture(tmp_path / "long.png", lengths={"64K-128K": 1.0})
    assert columns_with(whole, CHOSEN).min() < columns_with(long, CHOSEN).min() - 0.1
    assert len(columns_with(long, TARGET)) > 100 > 0 == len(columns_with(whole, TARGET))


def test_each_task_has_its_color(tmp_path):
    pixels = picture(tmp_path / "two.png", shares={"extract-single": 0.5, "extract-multi": 0.5})
    found = {
        task for task, color in COLORS.items()
        if len(columns_with(pixels, 255 * np.array(to_rgb(color)))) > 20
    }  # fmt: skip
    assert found == {"extract-single", "extract-multi"}


def test_nothing_chosen_is_still_a_picture(tmp_path):
    assert len(columns_with(picture(tmp_path / "none.png", 5, min_tokens=10**6), CHOSEN)) < 100  # the legend alone
    assert picture(tmp_path / "empty.png", 0).shape[2] == 3
