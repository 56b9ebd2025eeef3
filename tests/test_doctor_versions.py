import re
import sys

import pytest
from packaging.requirements import Requirement

from mmprolong_hf.doctor.versions import TESTED, examine_version, examine_versions


def install(folder, name, version):
    """The metadata of an installed package, found before the real one."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def findings():
    return {finding.what: finding for finding in examine_versions().findings}


def test_the_tested_versions_are_those_of_constraints_txt(root):
    pinned = dict(
        re.findall(r"^([\w-]+)==(\S+)$", (root / "constraints.txt").read_text().replace("_", "-"), flags=re.M)
    )
    assert {name: pinned[name] for name in TESTED} == TESTED


def test_this_installation_is_right():
    assert not examine_versions().is_wrong
    assert findings()["transformers"].text == f"{TESTED['transformers']}, as tested"


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("trl", "1.10.0", r"1\.10\.0 is too old, expected >=1\.16,<2; pip install 'trl>=1\.16,<2'"),
        (
            "transformers",
            "5.24.1",
            r"5\.24\.1 is too new, expected >=5\.23,<5\.24; pip install 'transformers>=5\.23,<5\.24'",
        ),
    ],
)
def test_wrong_versions_are_named(tmp_path, monkeypatch, name, version, text):
    install(tmp_path, name, version)
    monkeypatch.syspath_prepend(tmp_path)
    assert findings()[name].state == "wrong"
    assert re.fullmatch(text, findings()[name].text)
    assert examine_versions().is_wrong


@pytest.mark.parametrize(("version", "how"), [("0.21.9", "newer"), ("0.21.0", "older")])
def test_another_version_than_the_tested_is_told(tmp_path, monkeypatch, version, how):
    install(tmp_path, "peft", version)
    monkeypatch.syspath_prepend(tmp_path)
    assert findings()["peft"].state == "note"
    assert findings()["peft"].text == f"{version}, {how} than the tested {TESTED['peft']}"


def test_what_is_missing_is_wrong_unless_it_is_an_extra(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert examine_version(Requirement("trl>=1.16"), None).text == "not installed; pip install 'trl>=1.16'"
    extra = examine_version(Requirement("liger-kernel>=0.8.5; extra == 'liger'"), None, "liger")
    assert extra.state == "note"
    assert "pip install 'mmprolong_hf[liger]'" in extra.text
