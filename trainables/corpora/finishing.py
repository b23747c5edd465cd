"""The end of an import: the tables of all pieces become those of the corpus, and corpus.json says that it is whole."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.corpus import CorpusError
from trainables.corpora.pieces import Piece, count_remarks, files_of
from trainables.corpora.reimport import Plan
from trainables.corpora.shards import (
    FACTS,
    FORMAT,
    REJECTED,
    REJECTED_SCHEMA,
    TRIALS_SCHEMA,
    UTTERANCES,
    UTTERANCES_SCHEMA,
    File,
    PackedFacts,
    file_facts,
    map_table,
    shard_name,
    write_table,
    write_whole,
)
from trainables.corpora.trial_lists import find_trial_list

MOST_BAD = 0.1
NAMED = 5  # bad files, and reasons, named in a message
ROWS = 65536  # fingerprinted at a time
FACTS_OF = ("utterance", "speaker", "recording", "gender", "age", "agesup", "agesub", "source", "split", "content")


def finish(
    pieces: Sequence[Piece],
    faulty: Sequence[tuple[str, str, bool]],
    plan: Plan,
    *,
    out: Path,
    notes: Sequence[str],
    trial_lists: Mapping[str, Path],
    is_bad_allowed: bool,
) -> PackedFacts:
    """Write the tables and corpus.json of packed pieces; `faulty` are (path, reason, is it bad) of what was no piece.

    Raises CorpusError if nothing is left, or more than a tenth is bad and that is not allowed.
    """
    tables = [map_table(piece.table_path) for piece in pieces]
    looked_at = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    is_kept = looked_at["reason"].is_null()
    utterances = looked_at.filter(is_kept).select(UTTERANCES_SCHEMA.names).combine_chunks()
    rejected = _rejected(looked_at.filter(pc.invert(is_kept)), faulty)
    _check(utterances, rejected, out, is_bad_allowed)
    files: dict[str, File] = {}
    for piece, table in zip(pieces, tables, strict=True):
        if written := table.schema.metadata:
            files[shard_name(piece.number)] = File(int(written[b"num_bytes"]), written[b"sha256"].decode())
    named = {UTTERANCES: utterances, REJECTED: rejected}
    told = [*notes, *count_remarks(looked_at), *_copies(utterances), *_reasons(rejected)]
    for name, path in sorted(trial_lists.items()):
        trials, note = _trials(path, utterances)
        named[f"trials/{name}.arrow"] = trials
        told += [f"trials/{name}.arrow: {note}"]
    for name, table in named.items():
        write_table(out / name, table)
        files[name] = file_facts(out / name)
    facts = PackedFacts(
        format=FORMAT,
        kind=plan.options["kind"],
        sample_rate=plan.options["sample_rate"],
        options=plan.options,
        num_utterances=utterances.num_rows,
        num_speakers=pc.count_distinct(utterances["speaker"]).as_py(),
        num_samples=pc.sum(utterances["num_samples"]).as_py(),
        num_rejected=rejected.num_rows,
        fingerprint=packed_fingerprint(utterances, sample_rate=plan.options["sample_rate"]),
        notes=tuple(told),
        listing=plan.listing,
        times=plan.times,
        files=dict(sorted(files.items())),
    )
    write_whole(out / FACTS, lambda aside: aside.write_bytes(facts.to_json()))
    return facts


def packed_fingerprint(utterances: Any, *, sample_rate: int) -> str:
    """Return the hash of what is heard and who speaks; where the samples lie is no part of it."""
    digest = hashlib.sha256(f"{sample_rate}\n".encode())
    for batch in utterances.select(FACTS_OF).to_batches(max_chunksize=ROWS):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        digest.update("".join(f"{row!r}\n" for row in rows).encode())
    return digest.hexdigest()


def _rejected(rows: Any, faulty: Iterable[tuple[str, str, bool]]) -> Any:
    records = rows.select(REJECTED_SCHEMA.names).to_pylist()
    records += [{"path": path, "utterance": None, "reason": why, "is_bad": bad} for path, why, bad in faulty]
    records.sort(key=lambda record: (record["path"] or "", record["utterance"] or "", record["reason"]))
    return pa.Table.from_pylist(records, schema=REJECTED_SCHEMA)


def _check(utterances: Any, rejected: Any, out: Path, is_bad_allowed: bool) -> None:
    bad = rejected.filter(rejected["is_bad"]).to_pylist()
    total = utterances.num_rows + rejected.num_rows
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    named = "; ".join(f"{record['path'] or record['utterance']}: {record['reason']}" for record in bad[:NAMED]) + more
    if not utterances.num_rows:
        raise CorpusError(
            f"{out}: none of {total} utterances is left: {named or '; '.join(_reasons(rejected))}; "
            "change the limits and import into another folder"
        )
    if len(bad) > MOST_BAD * total and not is_bad_allowed:
        raise CorpusError(
            f"{out}: {len(bad)} of {total} files are bad, more than a tenth: {named}. "
            "If they are to be left out, give the same command with --allow-bad: what is decoded is kept"
        )


def _reasons(rejected: Any) -> list[str]:
    counts = Counter(reason.partition(":")[0] for reason in rejected["reason"].to_pylist())
    return [f"left out, {files_of(count)}: {reason}" for reason, count in counts.most_common()]


def _copies(utterances: Any) -> list[str]:
    copies = utterances.num_rows - pc.count_distinct(utterances["content"]).as_py()
    return [f"the same content as another file: {files_of(copies)}"] if copies else []


def _trials(path: Path, utterances: Any) -> tuple[Any, str]:
    """Return the list as a table, and what is to be told of it; raises CorpusError if a line cannot be read."""
    trials = find_trial_list(str(path)).read()
    table = pa.table(dict(zip(TRIALS_SCHEMA.names, trials, strict=True)), schema=TRIALS_SCHEMA)
    known = pc.and_(*(pc.is_in(table[side], utterances["utterance"]) for side in ("left", "right")))
    unknown = table.num_rows - pc.sum(known.cast(pa.int64())).as_py() if table.num_rows else 0
    told = f"; {unknown} of them name an utterance that is not in the corpus" if unknown else ""
    return table, f"{table.num_rows} trials{told}"
