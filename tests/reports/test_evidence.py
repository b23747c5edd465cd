"""What stands behind the claims: one table for the README and the reports; and what a run says it is."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.evidence import EVIDENCE, evidence, evidence_markdown
from reports.page import render
from reports.summaries import summarise
from search_spaces.registry import CONFIGS

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("trainable", EVIDENCE)
def test_the_readme_holds_the_table(trainable: str) -> None:
    """Between its two comments, word for word; `python -m reports.evidence` prints what belongs there."""
    start, end = f"<!-- evidence: {trainable} -->\n", "<!-- end of evidence -->"
    readme = README.read_text()

    assert start in readme, f"the README lacks the lines that `python -m reports.evidence` prints: {start!r}"
    assert evidence_markdown(trainable) == readme.partition(start)[2].partition(end)[0]


def test_every_trainable_has_its_claims() -> None:
    """None is without, no claim stands twice, and no cell is empty."""
    assert set(CONFIGS) == set(EVIDENCE)
    for claims in EVIDENCE.values():
        assert len(claims) == len({one.claim for one in claims})
        assert all(cell.strip() for one in claims for cell in one.cells())


def test_page_and_markdown_have_it(handmade: ModuleType, tmp_path: Path) -> None:
    """Each claim stands in both."""
    for text in render(handmade.run_of(tmp_path, [])):
        assert all(one.claim in text for one in EVIDENCE["contrastive_mixup"])
        assert "What stands behind this" in text


def corpus_row(role: str) -> dict[str, Any]:
    """A row of the corpus table."""
    facts = {"utterances": 1, "speakers": 1, "hours": 1.0, "source": "s", "fingerprint": "f", "start": 1}
    return {"role": role, **facts}


@pytest.mark.parametrize(
    ("corpus", "opened", "expected"),
    [
        (
            {"train": "synthetic?speakers=8"},
            ["train", "dev", "test"],
            [
                "This run trained on synthetic voices (synthetic?speakers=8).",
                "Of the other roles, dev comes from the sources of train and test comes from the sources of train.",
                "Synthetic voices show whether a method works at all, not how much it gains on speech.",
            ],
        ),
        (
            {"train": "a.csv", "dev": "b.csv", "noise": "musan", "rooms": "rirs"},
            ["train", "dev"],
            [
                "This run trained on the named sources (a.csv).",
                "Of the other roles, dev is b.csv, noise is musan and rooms is rirs.",
            ],
        ),
        (
            {"train": ["synthetic", {"source": "a.csv", "condition": "telephone"}]},
            [],
            ["This run trained on synthetic voices and the named sources (synthetic and a.csv under telephone)."],
        ),
    ],
)
def test_a_run_says_what_it_heard(
    handmade: ModuleType, tmp_path: Path, corpus: dict[str, Any], opened: list[str], expected: list[str]
) -> None:
    """Train, then the other roles, given or split off; synthetic voices alone are no word on speech."""
    run = handmade.run_of(tmp_path, [], study={"corpus": corpus}, corpus=[corpus_row(role) for role in opened])

    assert expected == list(evidence(run, summarise(run)).sentences[:-1])


@pytest.mark.parametrize(
    ("planned", "values", "expected"),
    [
        (1, {"paper": [0.3]}, "Each config has one seed: its values have no interval"),
        (3, {}, "No arm or confirmed config has a value yet; 3 seeds of each are planned."),
        (3, {"paper": [0.3]}, "Each config has one seed so far, of 3 planned:"),
        (3, {"paper": [0.3, 0.31, 0.29]}, "Arms and confirmed configs have 3 seeds;"),
        (3, {"paper": [0.3, 0.31, 0.29], "AP": [0.2, 0.21]}, "Arms and confirmed configs have 2 to 3 seeds (3 are pla"),
    ],
)
def test_a_run_says_how_many_seeds_were_measured(
    handmade: ModuleType, tmp_path: Path, planned: int, values: dict[str, list[float]], expected: str
) -> None:
    """Not how many were planned."""
    trials = [
        handmade.measured(arm, seed, value)
        for arm, found in values.items()
        for seed, value in enumerate(found, start=1)
    ]
    run = handmade.run_of(tmp_path, trials, study={"seeds": planned})

    assert evidence(run, summarise(run)).sentences[-1].startswith(expected)
