"""A manifest as a kind: the project's own CSV or Parquet table with a row an utterance.

Checked against: it is the project's own format (`trainables/corpora/manifest.py`). Beyond its columns this reader takes
`source`, ages in any spelling, and `birth` with `recorded` (dates) where there is no age.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainables.corpora.ages import NOT_GIVEN, read_age, with_age
from trainables.corpora.cells import GENDERS, SPLITS, TABLES, Cells, CellTable, existing_file
from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import Faulty, Finding, Found, Kind, Note
from trainables.corpora.kinds.folders import as_text, checked, is_text
from trainables.corpora.kinds.likeness import likeness, not_of_kind
from trainables.corpora.manifest import OPTIONAL, REQUIRED

NAME = "manifest"
USUAL = "manifest"
KNOWN = (*REQUIRED, *OPTIONAL, "source", "birth", "recorded")

SAME_PATH = "the same path as another row"
NO_SPLIT = "no split, where other rows have one"


def read(folder: Path, *, options: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the rows of a manifest in their order; `folder` is the manifest, or the folder that holds it.

    Utterances are named as in the column path. Raises CorpusError if there is no manifest, or if it cannot be read.
    """
    checked(options, {}, NAME)
    file = find_manifest(folder)
    table = CellTable(text=str(folder), file=str(file), what="manifest")
    try:
        columns = table.columns(required=REQUIRED, once=KNOWN)
    except CorpusError:
        # The only table of another corpus's folder is one of its own lists.
        if file != Path(os.path.abspath(os.path.expanduser(folder))) and likeness(file.parent) not in (None, NAME):
            raise not_of_kind(file.parent, NAME, f"a table with the columns {' and '.join(REQUIRED)}") from None
        raise
    # A split in any row makes one needed in every row; the file is read twice rather than kept.
    is_split = "split" in columns and any(
        record.get("split") for _, record in table.records(("split",)) if isinstance(record, dict)
    )
    return _findings(file, table, has_age=bool({"age", "birth"} & set(columns)), is_split=is_split)


def find_manifest(folder: Path) -> Path:
    """Return the manifest that a path names or a folder holds; raises CorpusError if it is not clear which."""
    place = Path(os.path.abspath(os.path.expanduser(folder)))
    if not is_text(str(place)):
        raise CorpusError(f"{as_text(str(folder))}: the folder's name is not UTF-8; rename it")
    if not place.is_dir():
        if not place.name.lower().endswith(TABLES):
            raise CorpusError(f"{folder}: {NAME} needs a .csv or .parquet file, or the folder that holds it")
        return Path(existing_file(str(folder), endings=TABLES))
    tables = sorted(file.name for file in place.iterdir() if file.name.lower().endswith(TABLES) and file.is_file())
    usual = [name for name in tables if os.path.splitext(name)[0].lower() == USUAL]
    if not tables:
        raise not_of_kind(place, NAME, "a .csv or .parquet file in the folder")
    if len(usual or tables) > 1:
        raise CorpusError(f"{folder}: it holds {', '.join(usual or tables)}; name the one that is the manifest")
    return place / (usual or tables)[0]


def _findings(file: Path, table: CellTable, *, has_age: bool, is_split: bool) -> Iterator[Finding]:
    first: dict[str, int] = {}
    num_rows = 0
    for number, record in table.records(KNOWN):
        num_rows += 1
        row = f"row {number}"
        if isinstance(record, str):
            yield Faulty(str(file), f"row cannot be read: {row}: {record}")
        elif missing := [name for name in REQUIRED if not record[name]]:
            yield Faulty(str(file), f"no {' and no '.join(missing)}: {row}")
        else:
            path = os.path.normpath(os.path.join(file.parent, os.path.expanduser(record["path"])))
            if (earlier := first.setdefault(path, number)) != number:
                yield Faulty(path, f"{SAME_PATH}: {row}, row {earlier} is read")
            else:
                yield from _of_row(path, record, file, row, has_age=has_age, is_split=is_split)
    if not num_rows:
        raise CorpusError(f"{table.text}: a manifest needs rows, but it holds its header alone")


def _of_row(path: str, record: Cells, file: Path, row: str, *, has_age: bool, is_split: bool) -> Iterator[Finding]:
    split = SPLITS.get(record.get("split", "").casefold())
    if is_split and split is None:
        written = record["split"]
        sort = f"split is none of train, dev, test: '{written}'" if written else NO_SPLIT
        yield Faulty(path, f"{sort}: {row}" if not written else f"{sort}, {row}")
        return
    gender = GENDERS.get(record.get("gender", "").casefold())
    if record.get("gender") and gender is None:
        yield Note(path, f"gender not understood: '{record['gender']}', {row}")
    reading = read_age(record.get("age"))
    if reading.sort == NOT_GIVEN and record.get("birth"):
        reading = read_age(record["birth"], recorded=record.get("recorded"))
    found = Found(
        utterance=record["path"],
        path=path,
        speaker=record["speaker"],
        recording=record.get("recording") or None,
        gender=gender,
        source=record.get("source") or file.stem,
        split=split,
    )
    yield from with_age(found, reading, is_asked=has_age)


MANIFEST = Kind(
    name=NAME,
    read=read,
    summary="a .csv or .parquet manifest: path, speaker; gender, age, recording, split, source",
)
