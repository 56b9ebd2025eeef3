import pytest
import tiny
from datasets import Dataset
from test_collator import text_row_not_restarted, three_rows
from test_leak import parts_of

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.doctor.positions import audit_positions, check_pack_positions

SAMPLES = Dataset.from_dict({"document": [0, 0, 1, 2], "length": [90, 95, 60, 99], "span": [20, 25, 15, 40]})


def growth(**windows):
    return {finding.what: finding for finding in audit_positions(SAMPLES, **windows)}


def test_positions_beyond_the_window_are_told():
    finding = growth(window=32, first_window=16)["beyond the window"]
    assert finding.state == "note"
    assert (
        "1 samples have positions beyond 32, 39 at most; raise max_position_embeddings, or lower max_length"
        in finding.text
    )


def test_positions_that_never_leave_the_first_window_are_told():
    finding = growth(window=128, first_window=64)["growth"]
    assert finding.state == "note"
    assert "no sample has a position beyond the base model's 64" in finding.text


def test_positions_that_grow_are_counted():
    finding = growth(window=128, first_window=32)["growth"]
    assert (finding.state, finding.text) == ("ok", "25.0% of samples have positions beyond the base model's 32")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_positions_of_our_packs_are_right(family):
    for samples in (tiny.samples(tiny.processor(family)), parts_of(family)):
        finding = check_pack_positions(PackCollator()(samples), merge_size=2)
        assert finding.state == "ok"
        assert "4 samples, each with the positions that it has alone" in finding.text


def test_positions_that_do_not_restart_are_named():
    pack = text_row_not_restarted(PackCollator()(tiny.samples(tiny.processor())))
    finding = check_pack_positions(pack, merge_size=2)
    assert finding.state == "wrong"
    first = pack["layout"].leaves[0][1]
    assert f"sample 2 of 4: the text row of position_ids is {first} at its token 0, expected 0" in finding.text


def test_a_branch_that_does_not_go_on_from_its_document_is_named():
    pack = PackCollator()(parts_of())
    start, end = pack["layout"].leaves[-1]
    pack["position_ids"][1:, :, start:end] += 1
    finding = check_pack_positions(pack, merge_size=2)
    assert finding.state == "wrong"
    assert "sample 4 of 4: the time row of position_ids" in finding.text


def test_three_rows_are_named():
    pack = three_rows(PackCollator()(tiny.samples(tiny.processor())))
    finding = check_pack_positions(pack, merge_size=2)
    assert finding.state == "wrong"
    assert "position_ids have 3 rows, expected 4" in finding.text
