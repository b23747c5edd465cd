"""From the roles of a study to checked corpora: parse the sources, list them, share the rows, look at every file.

Imports neither torch nor ray: the driver opens corpora before it starts anything.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from search_spaces import study
from search_spaces.overrides import is_pairs
from trainables.corpora.cells import TABLES, existing_file
from trainables.corpora.conditioned import ConditionedSource, take_condition
from trainables.corpora.conditions import CLEAN, parse_condition
from trainables.corpora.corpus import LISTED_SCHEMA, Corpus, CorpusError, Rejected, Source, build_corpus, kept, nearest
from trainables.corpora.examination import Progress, examine, too_many_bad
from trainables.corpora.manifest import ManifestSource
from trainables.corpora.node_cache import is_uri
from trainables.corpora.packed import PackedSource, is_packed, open_packed
from trainables.corpora.pair_options import read_balance
from trainables.corpora.splits import Assignment, Splits, assign, missing_for_scoring, missing_for_training, split_of
from trainables.corpora.synthetic import NAME, SyntheticSource, read_options
from trainables.corpora.trial_lists import TrialList, find_trial_list
from trainables.corpora.trial_pairs import TrialPairs, trial_pairs
from trainables.corpora.where import Where

__all__ = ["Splits", "listed_splits", "open_roles", "parse_source", "split_of"]

ROLES = ("train", "dev", "test", "trials")
SPLITS = ("train", "dev", "test")
FORMS = f"{NAME}, {NAME}?option=value&…, a manifest (.csv, .parquet or .arrow), a packed corpus (folder or URI)"

Entries = Sequence[str | study.Source]
PlainSource = ManifestSource | SyntheticSource | PackedSource
AnySource = PlainSource | ConditionedSource


def parse_source(text: str, condition: str | None = None) -> AnySource:
    """Return the source that a text names, under a condition if one is given, here or as an option of the text.

    Raises CorpusError with the forms there are.
    """
    bare, option = take_condition(text)
    if condition is not None and option != CLEAN:
        raise CorpusError(f"{text}: a condition is given twice, as an option and as condition = '{condition}'")
    heard = option if condition is None else parse_condition(condition)
    plain = _plain_source(bare)
    if heard == CLEAN:
        return plain
    return ConditionedSource(text=f"{bare} heard as {heard.text}", inner=plain, condition=heard)


def _plain_source(text: str) -> PlainSource:
    name = text.partition("?")[0]
    if name == NAME:
        return SyntheticSource(text=text, options=read_options(text))
    if is_uri(text) and text.lower().endswith(TABLES):
        raise CorpusError(
            f"{text}: a manifest is read from a folder; import it (voxstudy corpus import manifest …) and copy the "
            "packed corpus to the object store"
        )
    if is_packed(text):
        return open_packed(text)
    if not text.lower().endswith(TABLES):
        where = (
            " (it is a folder without a corpus.json: give its manifest, or import it)" if os.path.isdir(text) else ""
        )
        raise CorpusError(f"{text}: no such source{where}; sources: {FORMS}{nearest(name, [NAME])}")
    return ManifestSource(text=text, file=existing_file(text, endings=TABLES))


def open_roles(
    roles: Mapping[str, Entries],
    *,
    sample_rate: int,
    min_s: float = 0.4,
    progress: Progress | None = None,
) -> Splits:
    """Open the corpora of a study: every file is decoded once, those that are no good are left out.

    `roles` gives the sources of train, and perhaps of dev and test, each perhaps with a filter, and perhaps a list of
    trials of the test set; the waveforms will have `sample_rate` (Hz); files shorter than `min_s` are rejected;
    `progress` is called with (files looked at, files in all).

    A test set or a list of trials that is asked for and cannot be scored is an error; a test set that nobody asked for,
    split off train or an official partition of it, is then left out with a note.

    Raises CorpusError with every problem found: unknown sources, missing columns, more than a tenth of a source's rows
    bad, speakers in two splits, too little to train or to score, a list of trials that does not fit.
    """
    listed = _list_roles(roles, sample_rate)
    sources, share = listed.sources, _shared(listed)
    everything = pa.concat_tables([share.train, share.dev, share.test])
    heard, is_sound_N, silent, remarks = examine(
        everything, sources=sources, sample_rate=sample_rate, min_s=min_s, progress=progress
    )
    # A source in two roles is listed twice and rejects the same rows twice.
    rejected = tuple(dict.fromkeys([*listed.rejected, *silent]))
    looked_at: Counter[str] = Counter()
    for each in pc.value_counts(everything["source"]).to_pylist():
        looked_at[sources[each["values"]].text] += each["counts"]
    if problems := too_many_bad(rejected, silent, looked_at):
        raise CorpusError(*problems)

    def corpus(first: int, rows: pa.Table, balance: str | None) -> Corpus:
        place = slice(first, first + len(rows))
        sound = kept(heard.slice(first, len(rows)), is_sound_N[place])
        bad = _of_sources(rejected, rows, sources)
        return build_corpus(
            sound,
            sources=sources,
            sample_rate=sample_rate,
            rejected=bad,
            fingerprints=listed.fingerprints,
            balance=balance,
        )

    train, dev = corpus(0, share.train, None), corpus(len(share.train), share.dev, listed.balance)
    problems = [*missing_for_training(train), *missing_for_scoring("dev", dev)]
    # A list that is given is taken as it is.
    test = corpus(len(share.train) + len(share.dev), share.test, None if listed.trials else listed.balance)
    trials: TrialPairs | None = None
    told: list[str] = []
    try:
        trials, told = _trials_of(
            test, listed.trials, elsewhere=(("train", train), ("dev", dev)), is_asked_for=bool(roles.get("test"))
        )
    except CorpusError as error:
        problems += error.problems
    if problems:
        raise CorpusError(*problems)
    return Splits(
        train=train,
        dev=dev,
        test=test if trials is not None else None,
        trials=trials,
        rejected=rejected,
        notes=tuple(dict.fromkeys([*listed.notes, *share.notes, *remarks, *told])),
        fingerprint=hashlib.sha256(f"train {train.fingerprint} dev {dev.fingerprint}".encode()).hexdigest(),
        test_fingerprint=trials.fingerprint(test) if trials is not None else None,
    )


def listed_splits(roles: Mapping[str, Entries], *, sample_rate: int) -> Assignment:
    """Share the rows of a study's roles as their sources list them, without a look at any file; raises CorpusError."""
    return _shared(_list_roles(roles, sample_rate))


@dataclass
class _Listed:
    """What the roles name, before any audio is read."""

    sources: tuple[Source, ...] = ()
    rows: dict[str, pa.Table] = field(default_factory=dict)
    fingerprints: dict[int, str] = field(default_factory=dict)
    trials: TrialList | None = None
    balance: str | None = None
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _list_roles(roles: Mapping[str, Entries], sample_rate: int) -> _Listed:
    """List the sources of all roles, in the order of the roles; raises CorpusError with the problems of all."""
    problems = [f"{role}: no such role of a corpus; roles: {', '.join(ROLES)}" for role in roles if role not in ROLES]
    if not roles.get("train"):
        problems.append("train: a study needs a train corpus")
    listed = _Listed()
    for role, given in roles.items():
        if isinstance(given, str):
            raise TypeError(f"a role needs a list of sources, but {role} got the text '{given}'")
        if role not in ROLES or not given:
            continue
        entries = [study.Source(source=entry) if isinstance(entry, str) else entry for entry in given]
        try:
            if role == "trials":
                listed.trials, listed.balance = _trials_asked(entries)
                continue
            wheres_of = _by_source(entries)
        except CorpusError as error:
            problems += [f"{role}: {problem}" for problem in error.problems]
            continue
        tables = [LISTED_SCHEMA.empty_table()]
        for source, wheres in wheres_of.items():
            try:
                listing = source.listing(number=len(listed.sources), sample_rate=sample_rate, wheres=wheres)
            except CorpusError as error:
                problems += [f"{role}: {problem}" for problem in error.problems]
                continue
            tables.append(listing.table)
            if listing.fingerprint is not None:
                listed.fingerprints[len(listed.sources)] = listing.fingerprint
            listed.sources += (source,)
            listed.rejected += listing.rejected
            listed.notes += listing.notes
        listed.rows[role] = pa.concat_tables(tables)
        listed.notes += _same_names(role, listed.rows[role])
    if problems:
        raise CorpusError(*problems)
    return listed


def _same_names(role: str, table: pa.Table) -> tuple[str, ...]:
    """Say how many speakers' names several sources of a role have: numbers, perhaps, of different people."""
    pairs = table.select(["source", "speaker"]).group_by(["source", "speaker"]).aggregate([])
    times = pc.value_counts(pairs["speaker"].combine_chunks())
    common = times.filter(pc.greater(times.field("counts"), 1))
    if not len(common):
        return ()
    first = common.field("values")[0].as_py()
    count = "1 speaker is" if len(common) == 1 else f"{len(common)} speakers are"
    return (f"{role}: {count} named alike in several sources, such as '{first}', and taken as the same people",)


def _shared(listed: _Listed) -> Assignment:
    share = assign(listed.rows)
    if share.problems:
        raise CorpusError(*share.problems)
    return share


def _by_source(entries: Iterable[study.Source]) -> dict[AnySource, list[Where]]:
    """Return each source once, however it is written, with the filters of all its entries."""
    problems: list[str] = []
    first: dict[AnySource, AnySource] = {}
    wheres_of: dict[AnySource, list[Where]] = {}
    for entry in entries:
        try:
            source = parse_source(entry.source, entry.condition)
        except CorpusError as error:
            problems += error.problems
            continue
        source = first.setdefault(_without_text(source), source)
        wheres_of.setdefault(source, []).append(entry.where)
    if problems:
        raise CorpusError(*problems)
    return wheres_of


def _without_text(source: AnySource) -> AnySource:
    """The source however it is written."""
    if isinstance(source, ConditionedSource):
        return replace(source, text="", inner=replace(source.inner, text=""))  # type: ignore[type-var]
    return replace(source, text="")


def _trials_asked(entries: Sequence[study.Source]) -> tuple[TrialList | None, str | None]:
    """Return the list of trials, if one is given, and what pairs of our own are to be balanced over."""
    lists = [entry for entry in entries if not is_pairs(entry.source)]
    pairs = [entry for entry in entries if is_pairs(entry.source)]
    if len(lists) > 1:
        raise CorpusError(f"a test set has one list of trials, but got {len(lists)}")
    if len(pairs) > 1:
        raise CorpusError(f"pairs are made in one way, but got {', '.join(entry.source for entry in pairs)}")
    for entry in entries:
        if entry.where:
            what = "pairs are made of all of dev and test" if entry in pairs else "a list of trials is taken as it is"
            raise CorpusError(f"{entry.source}: {what}; leave out its where")
    balance = read_balance(pairs[0].source) if pairs else None
    return find_trial_list(lists[0].source) if lists else None, balance


def _trials_of(
    test: Corpus, trials: TrialList | None, *, elsewhere: Sequence[tuple[str, Corpus]], is_asked_for: bool
) -> tuple[TrialPairs | None, list[str]]:
    """Return what is compared in the test set, None if it is to be left out, and notes.

    Raises CorpusError if a test set that is asked for, or that has a list, cannot be scored.
    """
    if trials is not None:
        if not len(test):
            raise CorpusError(f"{trials.text}: a list of trials needs a test set; give a test corpus (test = …)")
        pairs = trials.pairs(test, elsewhere=elsewhere)
        speaker_N = test.table["speaker"].combine_chunks().dictionary_encode().indices.to_numpy()
        odd = int((pairs.label != (speaker_N[pairs.left] == speaker_N[pairs.right])).sum())
        told = (
            f"{trials.text}: {odd} of {len(pairs)} trials are labelled otherwise than their speakers say; kept as given"
        )
        return pairs, [told] if odd else []
    if problems := missing_for_scoring("test", test):
        if is_asked_for:
            raise CorpusError(*problems)
        return None, [f"no test set is scored: {problem}" for problem in problems]
    return trial_pairs(test), []


def _of_sources(rejected: Sequence[Rejected], rows: pa.Table, sources: Sequence[Source]) -> tuple[Rejected, ...]:
    texts = {sources[number].text for number in pc.unique(rows["source"]).to_pylist()}
    return tuple(bad for bad in rejected if bad.source in texts)
