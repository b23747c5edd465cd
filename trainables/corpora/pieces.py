"""One piece of an import: some utterances, decoded into one shard, with a table of what became of each.

A piece is done when its table is there; the table is written after the shard. Nothing of it depends on who packs it, so
that a piece that was interrupted is packed again to the same bytes.

Shapes: T samples.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainables.corpora.audio import AudioFaultError, hear_file, remarks_of
from trainables.corpora.corpus import CorpusError, Int16s
from trainables.corpora.found import Found
from trainables.corpora.shards import UTTERANCES_SCHEMA, file_facts, map_table, shard_name, write_shard, write_table

PIECES = "pieces"
FULL_SCALE = 1.001  # a rounding above 1 is no clipping
CONTENT_DIGITS = 32

# A piece's table: the rows of `utterances`, then why a row was left out and what is odd about it.
PIECE_SCHEMA: Any = pa.schema(
    [
        *UTTERANCES_SCHEMA,
        ("reason", pa.string()),  # null: it is kept
        ("is_bad", pa.bool_()),  # left out for a fault, not by a choice of the user
        ("remarks", pa.list_(pa.string())),
    ]
)

Remarks = tuple[str, ...]
Hear = Callable[[Found, int], tuple[Int16s, Remarks]]  # utterance, rate -> samples (T,); raises AudioFaultError


@dataclass(frozen=True)
class Recipe:
    """What is done with every utterance; seconds are None where there is no such limit."""

    sample_rate: int
    shortest_s: float | None = None
    longest_s: float | None = None


@dataclass(frozen=True)
class Piece:
    """The utterances of shard `number` of the packed corpus in `out`; `folder` is where their paths start."""

    number: int
    found: tuple[Found, ...]
    out: Path
    folder: Path

    @property
    def table_path(self) -> Path:
        """Return where the piece's table lies."""
        return self.out / PIECES / f"{self.number:05d}.arrow"

    @property
    def shard_path(self) -> Path:
        """Return where the piece's shard lies."""
        return self.out / shard_name(self.number)


@dataclass(frozen=True)
class Packed:
    """What became of a piece."""

    num_utterances: int  # looked at
    num_samples: int  # kept


def hear_found(found: Found, sample_rate: int) -> tuple[Int16s, Remarks]:
    """Return the samples of an utterance's file at the rate, and what was done to them; raises AudioFaultError."""
    samples_T, facts = hear_file(found.path, sample_rate=sample_rate)
    return samples_T, remarks_of(facts, sample_rate=sample_rate)


def pack_piece(piece: Piece, recipe: Recipe, hear: Hear) -> Packed:
    """Decode a piece's utterances, write its shard, then its table; raises CorpusError, see listen."""
    rows: list[dict[str, Any]] = []
    kept: list[Int16s] = []
    offset = 0
    for found in piece.found:
        row = labels_of(found, piece.folder)
        heard = listen(found, recipe, hear)
        if isinstance(heard, Refused):
            rows.append({**row, "reason": heard.reason, "is_bad": heard.is_bad, "remarks": []})
            continue
        samples_T, remarks = heard
        rows.append(
            {
                **row,
                "num_samples": len(samples_T),
                "shard": piece.number,
                "offset": offset,
                "content": content_of(samples_T),
                "remarks": list(remarks),
            }
        )
        kept.append(samples_T)
        offset += len(samples_T)
    files: dict[str, str] = {}
    if kept:
        write_shard(piece.shard_path, np.concatenate(kept))
        facts = file_facts(piece.shard_path)
        files = {"num_bytes": str(facts.num_bytes), "sha256": facts.sha256}
    else:
        piece.shard_path.unlink(missing_ok=True)
    schema = PIECE_SCHEMA.with_metadata(files or None)
    columns = {name: [row.get(name) for row in rows] for name in PIECE_SCHEMA.names}
    write_table(piece.table_path, pa.table(columns, schema=schema))
    return Packed(num_utterances=len(rows), num_samples=offset)


@dataclass(frozen=True)
class Refused:
    """Why an utterance is not kept; `is_bad`: for a fault of its file, not by the user's limits."""

    reason: str
    is_bad: bool


def listen(found: Found, recipe: Recipe, hear: Hear) -> tuple[Int16s, Remarks] | Refused:
    """Return an utterance's samples and remarks, or why it is not kept.

    Raises CorpusError where the fault is not the file's: it would be left out though it may be sound.
    """
    try:
        samples_T, remarks = hear(found, recipe.sample_rate)
    except AudioFaultError as fault:
        if not fault.is_of_the_file:
            raise CorpusError(f"{found.path}: {fault}; mend that, then the same command goes on") from None
        return Refused(str(fault), is_bad=True)
    return beyond_limits(len(samples_T), recipe) or (samples_T, remarks)


def beyond_limits(num_samples: int, recipe: Recipe) -> Refused | None:
    """Return why an utterance of this length is not kept, None if it is."""
    seconds = num_samples / recipe.sample_rate
    if recipe.shortest_s is not None and seconds < recipe.shortest_s:
        return Refused(f"shorter than {recipe.shortest_s:g} s: {seconds:.4g} s", is_bad=False)
    if recipe.longest_s is not None and seconds > recipe.longest_s:
        return Refused(f"longer than {recipe.longest_s:g} s: {seconds:.4g} s", is_bad=False)
    return None


def content_of(samples_T: Int16s) -> str:
    """Return the hash of what is heard: of the samples, little-endian, not of the file that they came from."""
    return hashlib.sha256(np.ascontiguousarray(samples_T, dtype="<i2").data).hexdigest()[:CONTENT_DIGITS]


def contents_of(found: Sequence[Found], recipe: Recipe, hear: Hear) -> list[str | None]:
    """Return the hash of each utterance, None for one that is not kept."""
    heard = (listen(one, recipe, hear) for one in found)
    return [None if isinstance(one, Refused) else content_of(one[0]) for one in heard]


def labels_of(found: Found, folder: Path) -> dict[str, Any]:
    """Return what an utterance's row says before its audio is heard."""
    return {
        "utterance": found.utterance,
        "speaker": found.speaker,
        "recording": found.recording,
        "gender": found.gender,
        "age": found.age.years,
        "agesup": found.age.agesup,
        "agesub": found.age.agesub,
        "source": found.source,
        "split": found.split,
        "path": relative(found.path, folder) if os.path.isabs(found.path) else None,  # what is made is no file
    }


def relative(path: str, folder: Path) -> str:
    """Return a path below the imported folder as it is told to the user, whatever its encoding; others as they are."""
    inside = os.path.relpath(path, folder)
    return (path if inside.startswith("..") else inside).encode("utf-8", "backslashreplace").decode()


def is_done(piece: Piece) -> Packed | None:
    """Return what became of a piece that is done, else None."""
    try:
        table = map_table(piece.table_path)
        if b"num_bytes" in (table.schema.metadata or {}):
            if piece.shard_path.stat().st_size != int(table.schema.metadata[b"num_bytes"]):
                return None
        elif piece.shard_path.exists():
            return None
    except (OSError, pa.ArrowException):
        return None
    if table.num_rows != len(piece.found):
        return None
    return Packed(num_utterances=table.num_rows, num_samples=sum(table["num_samples"].drop_null().to_pylist()))


def count_remarks(table: Any) -> list[str]:
    """Return a note for each remark in the pieces' tables, with its number of files."""
    counts = Counter(remark for remarks in table["remarks"].to_pylist() for remark in remarks)
    return [f"{files_of(count)}: {remark}" for remark, count in sorted(counts.items())]


def files_of(count: int) -> str:
    """Return "1 file" or "2 files"."""
    return "1 file" if count == 1 else f"{count} files"


def numbered(found: Sequence[Found], borders: Sequence[int], *, out: Path, folder: Path) -> list[Piece]:
    """Return the pieces between the borders (0 first, the number of utterances last)."""
    return [Piece(n, tuple(found[start:end]), out, folder) for n, (start, end) in enumerate(pairwise(borders))]
