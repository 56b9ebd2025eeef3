"""From a sample to all: totals, their spread, and bills."""

from statistics import stdev

import pytest

from mmprolong_hf.synthesis.build_estimate import Amount, BuildEstimate
from mmprolong_hf.synthesis.endpoint import EndpointOptions
from mmprolong_hf.synthesis.model_calls import Call


def test_a_total_counts_rejected_documents_as_nothing():
    values = [10.0, 20.0, 30.0]
    total = BuildEstimate(num_files=100, num_scanned=4).total(values)
    assert total.value == 1500
    assert total.spread == pytest.approx(1.96 * stdev([*values, 0.0]) / 2 * 100)


@pytest.mark.parametrize(("num_files", "num_scanned"), [(3, 3), (100, 1), (0, 0)])
def test_there_is_no_spread_of_all_or_of_one(num_files, num_scanned):
    total = BuildEstimate(num_files, num_scanned).total([2.0] * num_scanned)
    assert total == Amount(2.0 * num_files)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(1234.5), "1,234"),
        (Amount(1.5), "1.50"),
        (Amount(1.5, 0.25), "1.50 (1.25 to 1.75)"),
        (Amount(10.0, 20.0), "10.00 (0.00 to 30.00)"),
    ],
)
def test_amounts_as_they_are_read(amount, text):
    assert str(amount) == text


def test_roles_that_share_a_model_share_its_bill():
    estimate = BuildEstimate(num_files=4, num_scanned=2)
    options = EndpointOptions("m", "http://localhost:1/v1", prompt_price=2.0, completion_price=10.0)
    estimate.add_bill(options, [Call(1000, 100), Call(2000, 50)], 2.0)
    estimate.add_bill(options, [Call(500, 0)], 4.0)
    assert {name: amount.value for name, amount in estimate.models["m"].items()} == pytest.approx(
        {"calls": 8, "prompt tokens": 8000, "written tokens": 300, "USD": (8000 * 2 + 300 * 10) / 1e6}
    )
    assert "m: calls 8.00, prompt tokens 8,000" in str(estimate)
