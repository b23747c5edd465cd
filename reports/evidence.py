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
                "tied over 3 seeds (contrastive_mixup_table3, small nets after 200 steps): test EER of mixup "
                "21.1 ± 3.3, 23.8 ± 3.1, 26.4 ± 5.5 and 26.4 ± 4.3 % against "
                "25.4 ± 5.7, 27.4 ± 1.3, 28.7 ± 2.8 and 26.4 ± 4.5 %"
            ),
            speech=(
                "2 utterances of 200 speakers (LibriSpeech, 320 steps): α 0.1 27.8 ± 4.2 % against 29.1 ± 2.7 %, tied; "
                "α 0.2 worse by 7.4 points [0.9, 13.9]; α 0.4 and 0.6 tied, 8 points above"
            ),
        ),
        Evidence(
            "the gain shrinks with more utterances: 16.3, 14.5, 12.4, 8.7 % (table 3)",
            synthetic="17.0, 13.2, 8.0, −0.1 % (contrastive_mixup_table3), but each gain is tied with none",
        ),
        Evidence(
            "equation 7 beats equation 6: 2.11 against 2.19 % EER (table 2)",
            synthetic=(
                "17.6 ± 4.3 against 24.9 ± 3.6 % (contrastive_mixup_table2, 600 steps), "
                "each tied with the AP loss, 20.8 ± 6.2 %"
            ),
        ),
        Evidence(
            "mixing waveforms beats mixing log-mel features: 2.11 against 2.44 % EER (section 4.4)",
            synthetic="17.6 ± 4.3 against 19.0 ± 5.5 % (contrastive_mixup_table2), each tied with the AP loss",
        ),
        Evidence(
            "the best α is small with much data (0.1), larger with little (0.4) (section 4.4)",
            synthetic=(
                "no such order: dev chose α 0.6, 0.2, 0.2, 0.6 and 0.1 for 2, 3, 5, 10 and all utterances "
                "(contrastive_mixup_alpha); of 15 comparisons with α 0.1 one is not tied (10 utterances, α 0.2 better)"
            ),
            speech="2 utterances: dev chose 0.1, and larger ones were 7 to 10 points above it",
        ),
        Evidence("mixup on top of augmentation helps: 4.1, 1.8, 1.3, 0.3 % (table 4)"),
        Evidence(
            "the overhead of mixup is negligible (section 1)",
            synthetic=(
                "0.15 % of a float32 step of the paper's net and 0.3 % of a bf16 one; 1.1 and 2.3 % for log-mel "
                "features, which pass the front end twice (make bench, busy machine)"
            ),
        ),
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
