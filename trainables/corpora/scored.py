"""A corpus that a trained net is scored on: one role alone, without anything to train on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.corpus import Corpus, CorpusError, Rejected, build_corpus, kept
from trainables.corpora.examination import Progress, examine, too_many_bad
from trainables.corpora.pair_options import PairOptions
from trainables.corpora.roles import Entries, list_roles
from trainables.corpora.sources import trials_of
from trainables.corpora.splits import missing_for_scoring
from trainables.corpora.trial_pairs import TrialPairs, trial_pairs


@dataclass(frozen=True)
class Scored:
    """What is scored: a checked corpus and its pairs, with what was left out and what is worth telling."""

    corpus: Corpus
    pairs: TrialPairs
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]


def open_scored(
    roles: Mapping[str, Entries],
    *,
    split: str,
    sample_rate: int,
    min_s: float = 0.4,
    progress: Progress | None = None,
) -> Scored:
    """Open the role `split`, test or dev, and its pairs: a list if the role trials gives one, else made.

    As a study opens them: the same corpus, pairs and fingerprint. But a source that has no official partition of that
    name is scored whole, and says so. Raises CorpusError with every problem found.
    """
    asked = {role: roles[role] for role in (split, "trials") if roles.get(role)}
    listed = list_roles(asked, sample_rate, (), is_trained=False)
    rows, notes = _partition(listed.rows[split], split, [source.text for source in listed.sources])
    heard, is_sound_N, silent, remarks = examine(
        rows, sources=listed.sources, sample_rate=sample_rate, min_s=min_s, progress=progress
    )
    rejected = tuple(dict.fromkeys([*listed.rejected, *silent]))
    looked_at = Counter(listed.sources[number].text for number in rows["source"].to_pylist())
    if problems := too_many_bad(rejected, silent, looked_at):
        raise CorpusError(*problems)
    made = PairOptions() if listed.trials else listed.pairs
    corpus = build_corpus(
        kept(heard, is_sound_N),
        sources=listed.sources,
        sample_rate=sample_rate,
        rejected=rejected,
        fingerprints=listed.fingerprints,
        balance=made.balance,
        most_pairs=made.most,
    )
    if listed.trials is None and (problems := missing_for_scoring(split, corpus.table, balance=corpus.balance)):
        raise CorpusError(*problems)
    pairs, told = trials_of(corpus, listed.trials, elsewhere=(), is_asked_for=True)
    assert pairs is not None
    notes = [*listed.notes, *notes, *remarks, *told]
    return Scored(corpus, pairs, rejected, tuple(dict.fromkeys(notes)))


def scored_part(corpus: Corpus, rejected: tuple[Rejected, ...], notes: tuple[str, ...]) -> Scored:
    """A corpus with the pairs that are made of it."""
    return Scored(corpus, trial_pairs(corpus), rejected, notes)


def _partition(rows: pa.Table, split: str, texts: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """Return each source's rows of the official partition; all of a source's, and a note, where it has none."""
    parts, notes = [rows.slice(0, 0)], []
    for number in sorted(pc.unique(rows["source"]).to_pylist()):
        own = rows.filter(pc.equal(rows["source"], number))
        chosen = own.filter(pc.equal(own["split"], split))
        if not len(chosen):
            there = ", ".join(sorted(set(own["split"].drop_null().to_pylist())))
            why = f"it has no official partition of that name (there is {there})" if there else "it has no partitions"
            notes.append(f"{split}: {texts[number]}: {why}: all of it is scored")
        parts.append(chosen if len(chosen) else own)
    return pa.concat_tables(parts), notes
