"""A look at every file of a corpus, once: what is sound gets its length and content, what is not, its reason."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from trainables.corpora.corpus import Heard, Rejected, Row, Source

MOST_BAD = 0.1
NAMED = 5  # bad rows named in a message
THREADS = 8
AT_ONCE = 4096  # files handed to the threads together

Progress = Callable[[int, int], None]


def examine(
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
