"""A look at every file of a corpus, once: what is sound gets its length and content, what is not, its reason."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.corpus import Heard, Rejected, Row, Source, rows_of

MOST_BAD = 0.1
NAMED = 5  # bad rows named in a message
THREADS = 8
AT_ONCE = 4096  # files handed to the threads together

Progress = Callable[[int, int], None]


def examine(
    table: pa.Table, *, sources: Sequence[Source], sample_rate: int, min_s: float, progress: Progress | None
) -> tuple[pa.Table, npt.NDArray[np.bool_], list[Rejected], list[str]]:
    """Look at the rows whose length is not known; return what is known of all, and what was found.

    Rows of known length are not looked at: those shorter than `min_s` are rejected by it.

    That is: the table of LISTED_SCHEMA with lengths and contents filled in, which of its rows are sound (N,), the
    others, and notes that count remarks.
    """
    unheard_U = np.flatnonzero(~table["num_samples"].is_valid().to_numpy())
    is_short_N = table["num_samples"].fill_null(0).to_numpy() < min_s * sample_rate
    is_short_N[unheard_U] = False
    rejected = _too_short(table.filter(pa.array(is_short_N)), sources, sample_rate=sample_rate, min_s=min_s)
    remarks: Counter[tuple[str, str]] = Counter()

    def look(row: Row) -> Heard | str:
        return sources[row.source].examine(row, sample_rate=sample_rate, min_s=min_s)

    lengths: list[int | None] = []
    contents: list[str] = []
    # Decoding and hashing leave the interpreter's lock; a few threads also hide a slow disk.
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(unheard_U), AT_ONCE):
            some = rows_of(table.take(unheard_U[start : start + AT_ONCE]))
            for done, (row, found) in enumerate(zip(some, pool.map(look, some), strict=True), start=start + 1):
                text = sources[row.source].text
                if isinstance(found, Heard):
                    remarks.update((text, remark) for remark in found.remarks)
                    lengths.append(found.num_samples)
                    contents.append(found.content)
                else:
                    rejected.append(Rejected(source=text, row=row.index + 1, path=row.path or "", reason=found))
                    lengths.append(None)
                    contents.append("")
                if progress is not None:
                    progress(done, len(unheard_U))
    if len(unheard_U):
        table = _filled(table, unheard_U, {"num_samples": lengths, "content": contents})
    is_sound_N = table["num_samples"].is_valid().to_numpy() & ~is_short_N
    notes = [f"{text}: {_files(count)}: {remark}" for (text, remark), count in sorted(remarks.items())]
    if copies := _num_copies(table, is_sound_N):
        notes.append(f"the same content as another file: {_files(copies)}")
    return table, is_sound_N, rejected, notes


def _too_short(table: pa.Table, sources: Sequence[Source], *, sample_rate: int, min_s: float) -> list[Rejected]:
    return [
        Rejected(
            source=sources[row.source].text,
            row=row.index + 1,
            path=row.path or "",
            reason=f"too short: {row.num_samples} samples ({(row.num_samples or 0) / sample_rate:.4g} s), "
            f"at least {min_s:g} s are needed",
        )
        for row in rows_of(table)
    ]


def _filled(table: pa.Table, rows_U: npt.NDArray[np.int64], values: Mapping[str, Iterable[object]]) -> pa.Table:
    """Return the table with these values in these rows."""
    is_new = np.zeros(len(table), dtype=np.bool_)
    is_new[rows_U] = True
    for name, new in values.items():
        place = table.schema.get_field_index(name)
        old = table[name].combine_chunks()
        column = pc.replace_with_mask(old, pa.array(is_new), pa.array(new, old.type))
        table = table.set_column(place, table.schema.field(place), column)
    return table


def _num_copies(table: pa.Table, is_sound_N: npt.NDArray[np.bool_]) -> int:
    """Return how many files hold what another one holds, as far as contents are told."""
    is_file = pc.and_(table["path"].is_valid(), table["content"].is_valid())
    contents = table["content"].filter(pc.and_(is_file, pa.array(is_sound_N)))
    return len(contents) - int(pc.count_distinct(contents).as_py())


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def too_many_bad(rejected: Sequence[Rejected], silent: Sequence[Rejected], looked_at: Mapping[str, int]) -> list[str]:
    """Return a problem for each source of whose rows more than a tenth are bad."""
    problems = []
    for text in dict.fromkeys(bad.source for bad in rejected):
        bad = sorted((one for one in rejected if one.source == text), key=lambda one: one.row)
        # What was looked at, and what was rejected before that could be.
        unread = len(bad) - len({one for one in silent if one.source == text})
        total = looked_at.get(text, 0) + unread
        if len(bad) > MOST_BAD * total:
            named = "; ".join(f"row {one.row} ({one.path or 'no path'}): {one.reason}" for one in bad[:NAMED])
            more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            problems.append(f"{text}: {len(bad)} of {total} rows are bad, more than a tenth: {named}{more}")
    return problems
