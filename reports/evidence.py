"""What was shown of each claim: on synthetic voices, on real speech, on the paper's corpus, or not at all.

One place for it: the README holds the table as it is printed by `python -m reports.evidence`, and so does every report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from reports.blocks import Column, Row, Section, Table
from reports.reading import Run
from reports.summaries import Summary
from reports.words import are, clean, count, joined, seeds_between
from search_spaces.study import Source

NOT_YET = "not measured yet"
NEVER = "not measured"
SYNTHETIC = "synthetic"
HEADINGS = ("claim of the paper", "on synthetic voices", "on real speech", "on the paper's corpus")
OTHER_ROLES = ("dev", "test", "trials", "noise", "rooms")


@dataclass(frozen=True)
class Evidence:
    """A claim with its place in the paper, and what was measured of it here: a sentence a kind of speech.

    `synthetic` is of the synthetic voices, `speech` of a small corpus of real speech, `corpus` of what the paper used.
    """

    claim: str
    synthetic: str = NOT_YET
    speech: str = NOT_YET
    corpus: str = NEVER

    def cells(self) -> tuple[str, str, str, str]:
        """The claim, then what is known of it, in the order of `HEADINGS`."""
        return self.claim, self.synthetic, self.speech, self.corpus


EVIDENCE: Mapping[str, tuple[Evidence, ...]] = {
    "contrastive_mixup": (
        Evidence(
            "contrastive mixup beats the AP loss with 2, 3, 5 and 10 utterances a speaker (table 3)",
            synthetic=(
                "2 utterances (mixup_seeds, nets far from trained out): test EER 28.3 ± 0.7 % against 28.9 ± 2.8 %, "
                f"tied over 3 seeds; 3, 5 and 10: {NOT_YET}"
            ),
        ),
        Evidence("the gain shrinks with more utterances: 16.3, 14.5, 12.4, 8.7 % (table 3)"),
        Evidence("equation 7 beats equation 6: 2.11 against 2.19 % EER (table 2)"),
        Evidence("mixing waveforms beats mixing log-mel features: 2.11 against 2.44 % EER (section 4.4)"),
        Evidence("the best α is small with much data (0.1), larger with little (0.4) (section 4.4)"),
        Evidence("mixup on top of augmentation helps: 4.1, 1.8, 1.3, 0.3 % (table 4)"),
        Evidence("the overhead of mixup is negligible (section 1)"),
    )
}


def evidence_markdown(trainable: str) -> str:
    """The table of a trainable's claims as Markdown, as it stands in the README."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(one.cells() for one in EVIDENCE[trainable])]
    assert not any("|" in cell or "\n" in cell for cells in lines for cell in cells), "a cell would break the table"
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def evidence(run: Run, summary: Summary) -> Section:
    """What this run is, and then what stands behind the paper's claims, here and elsewhere."""
    title = "What stands behind this"
    claims = EVIDENCE.get(run.study.trainable, ())
    sentences = (*heard(run), seeds_said(run, summary))
    if not claims:
        return Section("evidence", title, sentences)
    rows = tuple(Row(one.cells()) for one in claims)
    note = "This run is no part of the table: what it found stands above."
    table = Table("What was shown of the paper's claims before", tuple(map(Column, HEADINGS)), rows, (note,))
    return Section("evidence", title, sentences, tables=(table,))


def heard(run: Run) -> list[str]:
    """On whose voices the run trained and measured, role by role."""
    corpus = run.study.corpus
    train = corpus.get("train", ())
    made = [source for source in train if is_made(source)]
    kinds = [*(["synthetic voices"] if made else []), *(["the named sources"] if len(made) < len(train) else [])]
    said = [f"This run trained on {joined(kinds)} ({named(train)})."] if train else []
    given = [f"{role} is {named(corpus[role])}" for role in OTHER_ROLES if role in corpus]
    opened = set(run.corpus.select(pl.col("role").unique()).collect()["role"].to_list())
    unnamed = [role for role in ("dev", "test") if role not in corpus and role in opened]
    given += [f"{role} comes from the sources of train" for role in unnamed]
    said += [f"Of the other roles, {joined(given)}."] if given else []
    if made and len(made) == len(train):
        said.append("Synthetic voices show whether a method works at all, not how much it gains on speech.")
    return [clean(sentence) for sentence in said]


def seeds_said(run: Run, summary: Summary) -> str:
    """How many seeds stand behind a mean: as many as were measured, whatever was planned."""
    planned = run.study.seeds
    found = [one.dev.n for one in summary.standings if one.dev is not None]
    if not found:
        return f"No arm or confirmed config has a value yet; {count(planned, 'seed')} of each {are(planned)} planned."
    if max(found) == 1:
        so_far = f" so far, of {planned} planned" if planned > 1 else ""
        return f"Each config has one seed{so_far}: its values have no interval, and differences may be noise."
    rest = f" ({planned} are planned)" if min(found) < planned else ""
    return (
        f"Arms and confirmed configs have {seeds_between(found)}{rest}; "
        "the intervals speak of seeds, not of other speakers."
    )


def is_made(source: Source) -> bool:
    """Whether a source is made by the program: its name may have options behind a question mark."""
    return source.source.partition("?")[0] == SYNTHETIC


def named(sources: Sequence[Source]) -> str:
    """The sources in a sentence, with the condition under which they are heard."""
    return joined([source.source + (f" under {source.condition}" if source.condition else "") for source in sources])


if __name__ == "__main__":
    for name in EVIDENCE:
        print(f"<!-- evidence: {name} -->\n{evidence_markdown(name)}<!-- end of evidence -->")
