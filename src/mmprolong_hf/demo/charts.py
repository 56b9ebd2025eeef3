"""The charts of the demo's reports."""

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.charts.linecharts import HorizontalLineChart
from reportlab.graphics.shapes import Drawing, String
from reportlab.lib.colors import HexColor

from mmprolong_hf.demo.yearbook import Measure

SERIES = [HexColor(code) for code in ("#1f3b57", "#c8553d", "#588b8b", "#e0a458")]


def bar_chart(measure: Measure, width: float) -> Drawing:
    """
    The last year's figures of all districts.

    Args:
        measure (`Measure`): What is shown.
        width (`float`): Of the drawing, in points.
    """
    chart = VerticalBarChart()
    chart.data = [[values[-1] for values in measure.values.values()]]
    chart.categoryAxis.categoryNames = list(measure.values)
    chart.categoryAxis.labels.setProperties({"angle": 30, "boxAnchor": "ne", "fontSize": 8, "fontName": "Helvetica"})
    chart.bars[0].fillColor = SERIES[0]
    return _drawing(chart, measure.unit, width)


def line_chart(measure: Measure, years: tuple[int, ...], width: float) -> Drawing:
    """
    The figures of the first four districts over the years, with a legend.

    Args:
        measure (`Measure`): What is shown.
        years (`tuple[int, ...]`): Of its figures.
        width (`float`): Of the drawing, in points.
    """
    chart = HorizontalLineChart()
    shown = list(measure.values)[: len(SERIES)]
    chart.data = [measure.values[district] for district in shown]
    chart.categoryAxis.categoryNames = [str(year) for year in years]
    for k, color in enumerate(SERIES):
        chart.lines[k].strokeColor, chart.lines[k].strokeWidth = color, 1.6
    drawing = _drawing(chart, measure.unit, width)
    legend = Legend()
    legend.x, legend.y, legend.fontSize, legend.alignment, legend.columnMaximum = 355, 160, 8, "right", len(SERIES)
    legend.colorNamePairs = list(zip(SERIES, shown))
    drawing.add(legend)
    return drawing


def _drawing(chart: VerticalBarChart | HorizontalLineChart, unit: str, width: float) -> Drawing:
    chart.x, chart.y, chart.width, chart.height = 50, 45, 290, 130
    chart.valueAxis.valueMin = 0
    chart.valueAxis.labels.fontSize = 8
    drawing = Drawing(width, 195)
    drawing.add(chart)
    drawing.add(String(50, 182, unit, fontName="Helvetica-Oblique", fontSize=8))
    return drawing
