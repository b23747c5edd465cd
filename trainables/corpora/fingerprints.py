"""What a corpus is, in one hash: it changes with what is heard and who speaks.

Age and recording belong to it too: labels and trial pairs follow from them.
"""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FACTS = ("utterance", "speaker", "gender", "age", "recording", "split", "content")
AGE_CLASSES = ("agesup", "agesub")  # facts where a source has them beside its ages
ROWS_AT_ONCE = 1 << 16


def fingerprint_of(table: pa.Table, *, sample_rate: int, of_sources: Mapping[int, str]) -> str:
    """Return the fingerprint of rows (of LISTED_SCHEMA, sorted by utterance) at a rate.

    Rows of a source that has a fingerprint of its own (`of_sources`, by number) count by it and their indices; of the
    other rows every fact is hashed.
    """
    digest = hashlib.sha256(str(sample_rate).encode())
    own = [number for number in of_sources if number in pc.unique(table["source"]).to_pylist()]
    plain = table
    if own:
        plain = table.filter(pc.invert(pc.is_in(table["source"], pa.array(own, table["source"].type))))
    for lines in _facts(plain):
        digest.update(lines)
    for line in sorted(f"\n{of_sources[number]} {_indices_hash(table, number)}" for number in own):
        digest.update(line.encode())
    return digest.hexdigest()


def _facts(table: pa.Table) -> Iterator[bytes]:
    """Yield a line a row, each after a line break: the tuple of its facts as Python writes it."""
    # Only where there are some, for a corpus without them has the fingerprint that it always had.
    is_classed = any(table[name].null_count < len(table) for name in AGE_CLASSES)
    facts = FACTS + AGE_CLASSES * is_classed
    for start in range(0, len(table), ROWS_AT_ONCE):
        some = table.slice(start, ROWS_AT_ONCE)
        columns = [_written(some[name].fill_null("") if name == "content" else some[name]) for name in facts]
        lines = pc.binary_join_element_wise(*columns, ", ").to_pylist()
        yield "".join(f"\n({line})" for line in lines).encode()


def _written(column: pa.ChunkedArray) -> pa.Array:
    """Return each value as Python writes it; every different value is written once, and few columns have many."""
    encoded = column.combine_chunks().dictionary_encode()
    written = pa.array([repr(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return written.take(encoded.indices).fill_null("None")


def _indices_hash(table: pa.Table, number: int) -> str:
    """Return a hash of which of a source's rows are there."""
    index_N = table["index"].to_numpy()[table["source"].to_numpy() == number]
    return hashlib.sha256(np.sort(index_N).astype("<i8").tobytes()).hexdigest()
