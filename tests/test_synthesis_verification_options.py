"""What a user may require."""

import pytest

from mmprolong_hf.synthesis.endpoint import EndpointOptions
from mmprolong_hf.synthesis.schema import VERDICTS
from mmprolong_hf.synthesis.verification import JudgeOptions, VerifyOptions


def test_everything_is_required_unless_said_otherwise():
    assert VerifyOptions().require == VERDICTS
    with pytest.raises(ValueError, match="require has 'closedbook', expected some of evidence_inside"):
        VerifyOptions(require=("wording", "closedbook"))


def test_a_judge_has_known_checks_and_no_negative_tolerance():
    endpoint = EndpointOptions("m", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ValueError, match="checks has 'wording', expected some of evidence_only"):
        JudgeOptions(endpoint, checks=("wording",))
    with pytest.raises(ValueError, match=r"tolerance is -0\.1, expected at least 0"):
        JudgeOptions(endpoint, tolerance=-0.1)
