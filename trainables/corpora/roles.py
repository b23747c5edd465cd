"""What the roles of a study name: sources parsed and listed, and their rows shared, without a look at any audio."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search_spaces import study
from search_spaces.overrides import is_pairs
from trainables.corpora.banks import ROLES as BANK_ROLES
from trainables.corpora.banks import folder_problems
from trainables.corpora.cells import TABLES, existing_file
from trainables.corpora.conditioned import ConditionedSource, take_condition
from trainables.corpora.conditions import CLEAN, parse_condition
from trainables.corpora.corpus import LISTED_SCHEMA, CorpusError, Listing, Rejected, Source, nearest
from trainables.corpora.manifest import ManifestSource
from trainables.corpora.node_cache import is_uri
from trainables.corpora.packed import PackedSource, is_packed, open_packed
from trainables.corpora.pair_options import PairOptions, read_pair_options
from trainables.corpora.splits import Assignment, asked, assign, missing_for_scoring
from trainables.corpora.synthetic import NAME, SyntheticSource, read_options
from trainables.corpora.trial_lists import TrialList, find_trial_list
from trainables.corpora.trial_pairs import MOST_PAIRS, pairs_of
from trainables.corpora.where import Where

ROLES = ("train", "dev", "test", "trials", *BANK_ROLES)
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


@dataclass
class Listed:
    """What the roles name, before any audio is read."""

    sources: tuple[Source, ...] = ()
    rows: dict[str, pa.Table] = field(default_factory=dict)
    fingerprints: dict[int, str] = field(default_factory=dict)
    trials: TrialList | None = None
    pairs: PairOptions = field(default_factory=PairOptions)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def list_roles(
    roles: Mapping[str, Entries], sample_rate: int, known: Sequence[str], *, is_trained: bool = True
) -> Listed:
    """List the sources of all roles, in the order of the roles; without training no train corpus is needed.

    Raises CorpusError with the problems of all, those that are `known` already among them.
    """
    problems = [f"{role}: no such role of a corpus; roles: {', '.join(ROLES)}" for role in roles if role not in ROLES]
    problems += known
    if is_trained and not roles.get("train"):
        problems.append("train: a study needs a train corpus")
    listed = Listed()
    for role, given in roles.items():
        if isinstance(given, str):
            raise TypeError(f"a role needs a list of sources, but {role} got the text '{given}'")
        if role not in ROLES or role in BANK_ROLES or not given:
            continue
        entries = [study.Source(source=entry) if isinstance(entry, str) else entry for entry in given]
        try:
            if role == "trials":
                listed.trials, listed.pairs = _trials_asked(entries)
                continue
            wheres_of = _by_source(entries)
        except CorpusError as error:
            problems += [f"{role}: {problem}" for problem in error.problems]
            continue
        tables = [LISTED_SCHEMA.empty_table()]
        for source, wheres in wheres_of.items():
            try:
                listing = _listing(source, role, number=len(listed.sources), sample_rate=sample_rate, wheres=wheres)
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


def _listing(source: AnySource, role: str, *, number: int, sample_rate: int, wheres: Sequence[Where]) -> Listing:
    """Return a source's rows for a role; those that a condition on `split` chose become the role's own."""
    by_split = [where for where in wheres if "split" in where]
    asked_for = None
    if 0 < len(by_split) < len(wheres):  # before all of it: a condition takes second voices from what it lists last
        asked_for = source.listing(number=number, sample_rate=sample_rate, wheres=by_split).table["index"].to_numpy()
    listing = source.listing(number=number, sample_rate=sample_rate, wheres=wheres)
    if not by_split:
        return listing
    index_N = listing.table["index"].to_numpy()
    is_asked_N = np.ones(len(index_N), dtype=np.bool_) if asked_for is None else np.isin(index_N, asked_for)
    return replace(listing, table=asked(role, listing.table, is_asked_N))


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


def shared(listed: Listed) -> Assignment:
    """Share the listed rows among train, dev and test; raises CorpusError."""
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


def _trials_asked(entries: Sequence[study.Source]) -> tuple[TrialList | None, PairOptions]:
    """Return the list of trials, if one is given, and how pairs of our own are to be made."""
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
    options = read_pair_options(pairs[0].source) if pairs else PairOptions()
    return find_trial_list(lists[0].source) if lists else None, options


def bank_places(roles: Mapping[str, Entries]) -> tuple[dict[str, str], list[str]]:
    """Return where noise and rooms are, nothing if they are not given or not as they should be, and what is wrong."""
    given = {role: roles[role] for role in BANK_ROLES if roles.get(role)}
    problems = []
    if len(given) == 1:
        problems.append(f"{next(iter(given))}: noise and rooms are given both or neither")
    places = {}
    for role, entries in given.items():
        first = study.Source(source=entries[0]) if isinstance(entries[0], str) else entries[0]
        if len(entries) > 1 or first.where or first.condition:
            problems.append(f'{role}: is one source, "synthetic" or a folder, without where and condition')
        places[role] = first.source
    return ({}, problems) if problems else (places, [])


@dataclass(frozen=True)
class Expected:
    """What a run will find in a study's roles, as their sources list it without a look at any file.

    `dev_scored` and `test_scored` are the numbers of utterances that are in a pair, 0 where the run will score none;
    `missing` says what it will refuse: folders of noise and rooms, and a dev or test set that cannot be scored.
    """

    share: Assignment
    dev_scored: int
    test_scored: int
    missing: tuple[str, ...]


def expected_of_roles(roles: Mapping[str, Entries], *, sample_rate: int) -> Expected:
    """Share the rows of a study's roles as they are listed, and count what would be scored; raises CorpusError."""
    places, problems = bank_places(roles)
    listed = list_roles(roles, sample_rate, problems)
    share = shared(listed)
    no_dev = missing_for_scoring("dev", share.dev, balance=listed.pairs.balance)
    if listed.trials:
        no_test = [] if len(share.test) else [listed.trials.without_test()]
    else:
        no_test = missing_for_scoring("test", share.test, balance=listed.pairs.balance)
    is_asked_for = listed.trials is not None or bool(roles.get("test"))
    missing = [*(folder_problems(**places) if places else ()), *no_dev, *(no_test if is_asked_for else ())]
    return Expected(
        share=share,
        dev_scored=0 if no_dev else _num_in_pairs(share.dev, listed.pairs),
        test_scored=0 if no_test else _num_in_test(share.test, listed),
        missing=tuple(missing),
    )


def _num_in_test(rows: pa.Table, listed: Listed) -> int:
    return _num_in_list(listed.trials) if listed.trials else _num_in_pairs(rows, listed.pairs)


def _num_in_pairs(rows: pa.Table, options: PairOptions) -> int:
    pairs = pairs_of(rows, balance=options.balance, limit=options.most or MOST_PAIRS)
    return len(np.unique(np.concatenate([pairs.left, pairs.right])))


def _num_in_list(trials: TrialList) -> int:
    _, left, right = trials.read()
    return len({*left, *right})
