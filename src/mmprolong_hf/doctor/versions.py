"""Installed packages against what this project asks for and what it was tested with."""

from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from mmprolong_hf.doctor.findings import NOTE, WRONG, Finding, Part

# Of constraints.txt, which is not in the installed package; a test compares them.
TESTED = {
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "trl": "1.16.0",
    "accelerate": "1.15.0",
    "peft": "0.21.2",
    "datasets": "5.2.0",
    "huggingface-hub": "2.4.0",
    "numpy": "2.4.6",
    "pillow": "12.3.0",
}
# Extras with kernels, and what is without them
KERNELS = {
    "liger": "RMSNorm, SwiGLU and rotary are transformers' own, and slower",
    "flash-attn": "the vision tower takes torch's attention, which is as exact",
}


def examine_versions() -> Part:
    """What this project requires of its installation, read from its own metadata."""
    findings = []
    for requirement in map(Requirement, metadata.requires("mmprolong_hf")):
        extras = [extra for extra in KERNELS if requirement.marker and requirement.marker.evaluate({"extra": extra})]
        if requirement.marker is None or extras:
            findings.append(examine_version(requirement, TESTED.get(requirement.name), *extras))
    return Part("Versions", findings)


def examine_version(requirement: Requirement, tested: str | None, extra: str | None = None) -> Finding:
    """
    One package.

    Args:
        requirement (`Requirement`): What is asked for.
        tested (`str`, *optional*): The version of the tested set.
        extra (`str`, *optional*): The extra that it belongs to; it may then be missing.

    Example:

    ```python
    >>> examine_version(Requirement("packaging>=9999"), None).state
    'wrong'

    ```
    """
    name = requirement.name
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        if extra is not None:
            return Finding(name, f"not installed: {KERNELS[extra]}; pip install 'mmprolong_hf[{extra}]'", NOTE)
        return Finding(name, f"not installed; pip install '{_without_marker(requirement)}'", WRONG)
    if not requirement.specifier.contains(found, prereleases=True):
        oldest = min((Version(s.version) for s in requirement.specifier if s.operator == ">="), default=None)
        how = "too old" if oldest is not None and Version(found) < oldest else "too new"
        wish = f"pip install '{_without_marker(requirement)}'"
        return Finding(name, f"{found} is {how}, expected {_range(requirement)}; {wish}", WRONG)
    if tested is None:
        return Finding(name, found)
    if Version(Version(found).public) == Version(tested):
        return Finding(name, f"{found}, as tested")
    how = "newer" if Version(found) > Version(tested) else "older"
    return Finding(name, f"{found}, {how} than the tested {tested}", NOTE)


def _without_marker(requirement: Requirement) -> str:
    return requirement.name + _range(requirement)


def _range(requirement: Requirement) -> str:
    """`>=1.16,<2`."""
    return ",".join(sorted(map(str, requirement.specifier), reverse=True))
