"""All of a document's structure together."""

from synthetic_pdf import report

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.structure import build_structure


def test_everything_of_a_report_is_found_where_it_is(tmp_path):
    structure = build_structure(read_pdf(report(tmp_path / "a.pdf", chapters=3)))
    assert structure.num_pages == 9
    assert [s.page for s in structure.sections] == list(range(1, 10))
    assert [(c.label, c.page) for c in structure.captions] == [
        ("Table 1", 2), ("Figure 1", 3), ("Table 2", 5), ("Figure 2", 6), ("Table 3", 8), ("Figure 3", 9),
    ]  # fmt: skip
    assert structure.countable == {"Table", "Figure"}
    assert [(t.caption.label, t.page) for t in structure.tables] == [("Table 1", 2), ("Table 2", 5), ("Table 3", 8)]
    assert [f.page for f in structure.figures] == [3, 6, 9]
    assert all(p.lines[0].text.startswith("This line of running text") for p in structure.paragraphs)
