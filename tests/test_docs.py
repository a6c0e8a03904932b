"""What the documents point to is there, and nothing was left to be filled in."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A script or config of ours that a command line names.
COMMAND = re.compile(
    r"(?:python|--config) ((?:\w+/)+\w+\.py|(?:train|eval|demo|fit)\.py)"
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_and_commands_lead_somewhere(path):
    text = path.read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    for link in links:
        assert (path.parent / link).exists(), link
    for script in COMMAND.findall(text):
        assert (ROOT / script).exists(), script
    anchors = {
        re.sub(r"[^\w\- ]", "", line.lstrip("#").strip()).lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors, anchor
    assert not re.search(r"^[A-Z_0-9]{5,}$", text, re.MULTILINE)
