"""The demo's reports: long PDFs to look at, of which every heading and caption is known."""

import random
from dataclasses import dataclass, field
from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)
from reportlab.platypus.tableofcontents import TableOfContents

from mmprolong_hf.demo.charts import bar_chart, line_chart
from mmprolong_hf.demo.yearbook import Measure, Topic, Writer, Yearbook, make_yearbook, number

INK = colors.HexColor("#1f3b57")
TEXT = ParagraphStyle("text", fontName="Times-Roman", fontSize=11, leading=14.5, spaceAfter=8)
HEADINGS = {
    1: ParagraphStyle("chapter", fontName="Helvetica-Bold", fontSize=19, leading=24, textColor=INK, spaceAfter=12),
    2: ParagraphStyle(
        "section", fontName="Helvetica-Bold", fontSize=13, leading=17, spaceBefore=12, spaceAfter=6, keepWithNext=1
    ),
}
CAPTION = ParagraphStyle("caption", fontName="Helvetica", fontSize=9, leading=12, spaceBefore=4, spaceAfter=8)
COVER = ParagraphStyle("cover", fontName="Helvetica-Bold", fontSize=28, leading=36, alignment=TA_CENTER, textColor=INK)
SUBTITLE = ParagraphStyle("subtitle", parent=TEXT, fontSize=14, leading=20, alignment=TA_CENTER)
WIDTH = A4[0] - 5 * cm


@dataclass
class Report:
    """
    A report that was written, and what is known of it.

    Args:
        path (`Path`): The PDF.
        title (`str`): Of the document.
        sections (`list[tuple[int, str, str, int]]`): Level, printed number, title and 1-based page of every heading.
        captions (`list[tuple[str, str, int]]`): Label, text and 1-based page of every table and figure.
    """

    path: Path
    title: str
    sections: list[tuple[int, str, str, int]] = field(default_factory=list)
    captions: list[tuple[str, str, int]] = field(default_factory=list)


class _Heading(Paragraph):
    def __init__(self, level: int, number: str, title: str):
        super().__init__(f"{number} {title}", HEADINGS[level])
        self.level, self.number, self.title = level, number, title


class _Caption(Paragraph):
    def __init__(self, label: str, text: str):
        super().__init__(f"<b>{label}:</b> {text}", CAPTION)
        self.label, self.caption = label, text


class _Layout(BaseDocTemplate):
    """Pages with running heads; headings become bookmarks and contents, and are noted in the report with their pages."""

    def __init__(self, report: Report):
        super().__init__(
            str(report.path), pagesize=A4, title=report.title, author="Regional Statistics Office", invariant=1
        )
        self.report = report
        frame = Frame(2.5 * cm, 2.3 * cm, WIDTH, A4[1] - 4.8 * cm, leftPadding=0, rightPadding=0)
        self.addPageTemplates(
            [PageTemplate("cover", [frame]), PageTemplate("body", [frame], onPage=self._running_head)]
        )

    def _running_head(self, canvas: Canvas, _) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(2.5 * cm, A4[1] - 1.6 * cm, self.report.title)
        canvas.drawRightString(2.5 * cm + WIDTH, A4[1] - 1.6 * cm, "Regional Statistics Office")
        canvas.setLineWidth(0.4)
        canvas.line(2.5 * cm, A4[1] - 1.8 * cm, 2.5 * cm + WIDTH, A4[1] - 1.8 * cm)
        canvas.drawCentredString(A4[0] / 2, 1.3 * cm, str(canvas.getPageNumber()))

    def beforeDocument(self) -> None:  # the contents need a second pass over everything
        self.report.sections.clear()
        self.report.captions.clear()

    def afterFlowable(self, flowable: Flowable) -> None:
        if isinstance(flowable, _Heading):
            key = f"section {flowable.number}"
            text = f"{flowable.number} {flowable.title}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(text, key, level=flowable.level - 1)
            self.notify("TOCEntry", (flowable.level - 1, text, self.page, key))
            self.report.sections.append((flowable.level, flowable.number, flowable.title, self.page))
        elif isinstance(flowable, _Caption):
            self.report.captions.append((flowable.label, flowable.caption, self.page))


def write_reports(folder: str | Path, *, count: int, seed: int = 0) -> list[Report]:
    """
    Writes reports of 20 to 30 pages with contents, bookmarks, numbered sections, tables, charts and captions.

    Args:
        folder (`str` or `Path`): Where `report-1.pdf`, `report-2.pdf`, ... go; made if missing.
        count (`int`): How many.
        seed (`int`): The same seed gives the same bytes.

    Returns:
        `list[Report]`: What was written, with the page of every heading and caption.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_report(folder / f"report-{k + 1}.pdf", seed * 1000 + k) for k in range(count)]


def _write_report(path: Path, seed: int) -> Report:
    book, rng = make_yearbook(seed), random.Random(seed)
    report = Report(path, book.title)
    _Layout(report).multiBuild([*_front(book), *_Body(book, rng).flowables()])
    return report


def _front(book: Yearbook) -> list[Flowable]:
    contents = TableOfContents(dotsMinLevel=0)
    contents.levelStyles = [
        ParagraphStyle("contents 1", parent=TEXT, fontName="Helvetica-Bold", fontSize=10, leading=17, spaceAfter=0),
        ParagraphStyle("contents 2", parent=TEXT, fontSize=10, leading=13, leftIndent=14, spaceAfter=0),
    ]
    heading = Paragraph("Contents", HEADINGS[1])
    cover = [Spacer(1, 7 * cm), Paragraph(book.title, COVER), Spacer(1, 1 * cm)]
    subtitle = f"Figures of {len(book.districts)} districts, {book.years[0]} to {book.years[-1]}"
    cover.append(Paragraph(subtitle, SUBTITLE))
    return [*cover, NextPageTemplate("body"), PageBreak(), heading, contents]


class _Body:
    """The chapters of one report, with tables and figures numbered through."""

    def __init__(self, book: Yearbook, rng: random.Random):
        self.book, self.rng, self.writer = book, rng, Writer(book, rng)
        self.num_tables = self.num_figures = 0

    def flowables(self) -> list[Flowable]:
        parts = [PageBreak(), _Heading(1, "1", "About this Yearbook")]
        parts += [Paragraph(text, TEXT) for text in self.writer.preface()]
        for chapter, topic in enumerate(self.book.topics, start=2):
            parts += [PageBreak(), _Heading(1, str(chapter), topic.title)]
            parts += self._summary(topic)
            for k, (title, measure) in enumerate(zip(topic.sections, topic.measures), start=1):
                parts += [_Heading(2, f"{chapter}.{k}", title), *self._section(topic, measure, k)]
        return parts

    def _summary(self, topic: Topic) -> list[Flowable]:
        header = ["District", *(m.label for m in topic.measures)]
        rows = [[d, *(number(m.values[d][-1]) for m in topic.measures)] for d in self.book.districts]
        label = self._table_label()
        caption = _Caption(label, f"{topic.title} by district, {self.book.years[-1]}")
        return [Paragraph(self.writer.opening(topic, label), TEXT), self._table(caption, header, rows, ruled=True)]

    def _section(self, topic: Topic, measure: Measure, k: int) -> list[Flowable]:
        span = f"{self.book.years[0]} to {self.book.years[-1]}"
        if k % 2:
            label = self._table_label()
            header = ["District", *map(str, self.book.years)]
            rows = [[d, *map(number, values)] for d, values in measure.values.items()]
            shown = self._table(_Caption(label, f"{measure.label}, {span}"), header, rows, ruled=k == 3)
        else:
            self.num_figures += 1
            label = f"Figure {self.num_figures}"
            if k == 2:
                chart, what = bar_chart(measure, WIDTH), f"by district, {self.book.years[-1]}"
            else:
                chart, what = line_chart(measure, self.book.years, WIDTH), f"in four districts, {span}"
            shown = KeepTogether([chart, _Caption(label, f"{measure.label} {what}")])
        kind = "table" if k % 2 else "figure"
        overview = Paragraph(self.writer.overview(topic, measure, label, kind), TEXT)
        texts = (self.writer.extremes(topic, measure), self.writer.trends(topic, measure))
        return [overview, shown, *(Paragraph(text, TEXT) for text in texts)]

    def _table_label(self) -> str:
        self.num_tables += 1
        return f"Table {self.num_tables}"

    def _table(self, caption: _Caption, header: list[str], rows: list[list[str]], *, ruled: bool) -> Flowable:
        head = ParagraphStyle("head", fontName="Helvetica-Bold", fontSize=9, leading=11, alignment=TA_CENTER)
        width = (WIDTH - 3.4 * cm) / (len(header) - 1)
        table = Table([[Paragraph(text, head) for text in header], *rows], [3.4 * cm] + [width] * (len(header) - 1))
        style = [("FONT", (0, 1), (-1, -1), "Helvetica", 9), ("ALIGN", (1, 1), (-1, -1), "RIGHT")]
        style += [("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
        if ruled:
            style += [
                ("GRID", (0, 0), (-1, -1), 0.5, colors.black),
                ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
            ]
        else:
            style += [
                ("LINEABOVE", (0, 0), (-1, 0), 1, colors.black),
                ("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.black),
            ]
            style += [("LINEBELOW", (0, -1), (-1, -1), 1, colors.black)]
        table.setStyle(style)
        return KeepTogether([caption, table, Spacer(1, 10)])
