"""From the roles of a study to checked corpora: parse the sources, list them, share the rows, look at every file.

Imports neither torch nor ray: the driver opens corpora before it starts anything.
"""

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from trainables.corpora.corpus import (
    Corpus,
    CorpusError,
    Heard,
    Rejected,
    Row,
    Source,
    build_corpus,
    nearest,
)
from trainables.corpora.manifest import ManifestSource
from trainables.corpora.splits import Splits, assign, split_of, usable
from trainables.corpora.synthetic import NAME, SyntheticSource, read_options

__all__ = ["Splits", "open_roles", "parse_source", "split_of"]

ROLES = ("train", "dev", "test")
MANIFESTS = (".csv", ".parquet")
FORMS = f"{NAME}, {NAME}?option=value&…, a manifest (.csv or .parquet)"
MOST_BAD = 0.1
NAMED = 5  # bad rows named in a message
THREADS = 8
AT_ONCE = 4096  # files handed to the threads together

Progress = Callable[[int, int], None]


def parse_source(text: str) -> Source:
    """Return the source that a text names; raises CorpusError with the forms there are."""
    name = text.partition("?")[0]
    if name == NAME:
        return SyntheticSource(text=text, options=read_options(text))
    if "://" in text:
        raise CorpusError(
            f"{text}: a corpus on an object store is not supported by this version yet; "
            "copy the manifest and its files to a folder that every machine sees"
        )
    if not text.lower().endswith(MANIFESTS):
        where = " (it is a folder: give its manifest)" if os.path.isdir(text) else ""
        raise CorpusError(f"{text}: no such source{where}; sources: {FORMS}{nearest(name, [NAME])}")
    file = os.path.abspath(os.path.expanduser(text))
    if not os.path.isfile(file):
        folder = os.path.dirname(file)
        if not os.path.isdir(folder):
            raise CorpusError(f"{text}: no such file: there is no folder '{folder}'")
        others = [name for name in os.listdir(folder) if name.lower().endswith(MANIFESTS)]
        near = difflib.get_close_matches(os.path.basename(file), others, n=1)
        raise CorpusError(f"{text}: no such file" + (f"; did you mean '{near[0]}'?" if near else ""))
    return ManifestSource(text=text, file=file)


def open_roles(
    roles: Mapping[str, Sequence[str]],
    *,
    sample_rate: int,
    min_s: float = 0.4,
    progress: Progress | None = None,
) -> Splits:
    """Open the corpora of a study: every file of train and dev is decoded once, those that are no good are left out.

    Test rows are listed, but their audio is not looked at; their `num_samples` is null unless the source knows it.

    `roles` gives the sources of train, and perhaps of dev and test; the waveforms will have `sample_rate` (Hz); files
    shorter than `min_s` are rejected; `progress` is called with (files looked at, files in all).

    Raises CorpusError with every problem found: unknown sources, missing columns, more than a tenth of a source's rows
    bad, speakers in two splits, too little to train or to score.
    """
    sources, rows, rejected, notes = _list_roles(roles, sample_rate)
    share = assign(rows)
    if share.problems:
        raise CorpusError(*share.problems)
    heard, silent, remarks = _examine(
        [*share.train, *share.dev], sources=sources, sample_rate=sample_rate, min_s=min_s, progress=progress
    )
    # A source in two roles is listed twice and rejects the same rows twice.
    rejected = list(dict.fromkeys([*rejected, *silent]))
    looked_at = Counter(sources[row.source].text for row in (*share.train, *share.dev))
    if problems := _too_many_bad(rejected, silent, looked_at):
        raise CorpusError(*problems)
    notes = [*notes, *share.notes, *remarks]

    def corpus(kept: Sequence[Row]) -> Corpus:
        return build_corpus(kept, sources=sources, sample_rate=sample_rate)

    train = corpus([heard[key] for row in share.train if (key := (row.source, row.index)) in heard])
    dev = corpus([heard[key] for row in share.dev if (key := (row.source, row.index)) in heard])
    if problems := usable(train, dev):
        raise CorpusError(*problems)
    return Splits(
        train=replace(train, rejected=_of_sources(rejected, share.train, sources)),
        dev=replace(dev, rejected=_of_sources(rejected, share.dev, sources)),
        test=corpus(share.test) if share.test else None,
        rejected=tuple(rejected),
        notes=tuple(dict.fromkeys(notes)),
        fingerprint=hashlib.sha256(f"train {train.fingerprint} dev {dev.fingerprint}".encode()).hexdigest(),
    )


def _list_roles(
    roles: Mapping[str, Sequence[str]], sample_rate: int
) -> tuple[tuple[Source, ...], dict[str, list[Row]], list[Rejected], list[str]]:
    """Return the sources of all roles, each role's rows, the rows that are rejected as written, and notes."""
    problems = [f"{role}: no such role of a corpus; roles: {', '.join(ROLES)}" for role in roles if role not in ROLES]
    if not roles.get("train"):
        problems.append("train: a study needs a train corpus")
    sources: list[Source] = []
    rows: dict[str, list[Row]] = {}
    rejected: list[Rejected] = []
    notes: list[str] = []
    for role, texts in roles.items():
        if isinstance(texts, str):
            raise TypeError(f"a role needs a list of sources, but {role} got the text '{texts}'")
        if role not in ROLES or not texts:
            continue
        rows[role] = []
        for text in dict.fromkeys(texts):
            try:
                source = parse_source(text)
                listing = source.listing(number=len(sources), sample_rate=sample_rate)
            except CorpusError as error:
                problems += [f"{role}: {problem}" for problem in error.problems]
                continue
            sources.append(source)
            rows[role] += listing.rows
            rejected += listing.rejected
            notes += listing.notes
    if problems:
        raise CorpusError(*problems)
    return tuple(sources), rows, rejected, notes


def _examine(
    rows: Sequence[Row], *, sources: Sequence[Source], sample_rate: int, min_s: float, progress: Progress | None
) -> tuple[dict[tuple[int, int], Row], list[Rejected], list[str]]:
    """Return the rows that are sound (with length and content), the others, and notes that count remarks."""
    heard = {(row.source, row.index): row for row in rows if row.num_samples is not None}
    unheard = [row for row in rows if row.num_samples is None]
    rejected: list[Rejected] = []
    remarks: Counter[tuple[str, str]] = Counter()

    def look(row: Row) -> Heard | str:
        return sources[row.source].examine(row, sample_rate=sample_rate, min_s=min_s)

    # Decoding and hashing leave the interpreter's lock; a few threads also hide a slow disk.
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(unheard), AT_ONCE):
            some = unheard[start : start + AT_ONCE]
            for done, (row, found) in enumerate(zip(some, pool.map(look, some), strict=True), start=start + 1):
                text = sources[row.source].text
                if isinstance(found, Heard):
                    sound = replace(row, num_samples=found.num_samples, content=found.content)
                    heard[row.source, row.index] = sound
                    remarks.update((text, remark) for remark in found.remarks)
                else:
                    rejected.append(Rejected(source=text, row=row.index + 1, path=row.path or "", reason=found))
                if progress is not None:
                    progress(done, len(unheard))
    notes = [f"{text}: {_files(count)}: {remark}" for (text, remark), count in sorted(remarks.items())]
    same = Counter(row.content for row in heard.values() if row.path is not None)
    if copies := sum(count - 1 for count in same.values()):
        notes.append(f"the same content as another file: {_files(copies)}")
    return heard, rejected, notes


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _too_many_bad(rejected: Sequence[Rejected], silent: Sequence[Rejected], looked_at: Mapping[str, int]) -> list[str]:
    """Return a problem for each source of whose rows more than a tenth are bad."""
    problems = []
    for text in dict.fromkeys(bad.source for bad in rejected):
        bad = sorted((one for one in rejected if one.source == text), key=lambda one: one.row)
        # What was looked at, and what was rejected before that could be; test rows are no part of it.
        unread = len(bad) - len({one for one in silent if one.source == text})
        total = looked_at.get(text, 0) + unread
        if len(bad) > MOST_BAD * total:
            named = "; ".join(f"row {one.row} ({one.path or 'no path'}): {one.reason}" for one in bad[:NAMED])
            more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            problems.append(f"{text}: {len(bad)} of {total} rows are bad, more than a tenth: {named}{more}")
    return problems


def _of_sources(rejected: Sequence[Rejected], rows: Sequence[Row], sources: Sequence[Source]) -> tuple[Rejected, ...]:
    texts = {sources[number].text for number in {row.source for row in rows}}
    return tuple(bad for bad in rejected if bad.source in texts)
