"""Labels made wrong on purpose: gender and age of a share of the speakers.

Of speakers and not of utterances, because that is how labels are wrong in a call centre: a speaker is registered once,
and every call of his carries it. An error of one utterance beside ten right ones would be found by looking.

Shapes: N rows, S speakers.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.ages import HIGHEST, LOWEST, SUPERCLASSES
from trainables.corpora.conditions import LABELS, Condition, generator, words_of
from trainables.corpora.splits import split_of

OTHER_GENDER = {"F": "M", "M": "F"}
DECADES = tuple(SUPERCLASSES)
SUPERS = tuple(dict.fromkeys(SUPERCLASSES.values()))
HELD_OUT = ("dev", "test")

Bools = npt.NDArray[np.bool_]


def with_wrong_labels(table: pa.Table, condition: Condition) -> tuple[pa.Table, list[str]]:
    """Return rows (of LISTED_SCHEMA) with wrong labels, and notes on how many speakers have them.

    Each speaker's gender is wrong with the condition's rate, and, independently, his age: then every row of his lies so
    many decades away that each of the other four classes is as likely. Labels that are not known stay so. Rows of the
    official partitions dev and test keep theirs: what is measured on them is measured against the truth. So do those
    that a study splits off train by the hash of their speakers: dev and test where no row has an official partition,
    dev where no row is of the official one. They keep them too where a dev or test set of its own is given, and it is
    the others alone that the rate is of.
    """
    if not condition.wrong or not len(table):
        return table, []
    speakers = table["speaker"].combine_chunks().dictionary_encode()
    names, speaker_N = speakers.dictionary.to_pylist(), speakers.indices.to_numpy()
    draws_S3 = np.array([generator(words_of(condition.seed, f"speaker {name}"), LABELS).random(3) for name in names])
    hashed = _hashed(table)
    is_hashed_S = np.array([split_of(name) in hashed for name in names], dtype=np.bool_)
    is_open_N = ~pc.is_in(table["split"], pa.array(HELD_OUT)).to_numpy() & ~is_hashed_S[speaker_N]
    is_wrong_S2 = draws_S3[:, :2] < condition.wrong
    gender_N, age_N = (is_open_N & is_wrong_S2[speaker_N, k] for k in range(2))
    table = _with_other_gender(table, gender_N)
    table = _with_other_age(table, age_N, draws_S3[speaker_N, 2])
    knows_gender_N = table["gender"].is_valid().to_numpy()
    knows_age_N = np.any([table[name].is_valid().to_numpy() for name in ("age", "agesup", "agesub")], axis=0)
    counts = [
        f"{what} of {len(np.unique(speaker_N[wrong_N & known_N]))} of {len(np.unique(speaker_N[is_open_N & known_N]))}"
        for what, wrong_N, known_N in (("gender", gender_N, knows_gender_N), ("age", age_N, knows_age_N))
    ]
    return table, [f"labels made wrong on purpose: {' and '.join(counts)} speakers"]


def _hashed(table: pa.Table) -> tuple[str, ...]:
    """Return the partitions that are split off train by the hash of its speakers."""
    official = pc.unique(table["split"].drop_null()).to_pylist()
    if not official:
        return HELD_OUT
    return () if "dev" in official else ("dev",)


def _with_other_gender(table: pa.Table, is_wrong_N: Bools) -> pa.Table:
    wrong = [OTHER_GENDER.get(gender) for gender in table["gender"].filter(pa.array(is_wrong_N)).to_pylist()]
    return _replaced(table, "gender", is_wrong_N, wrong)


def _with_other_age(table: pa.Table, is_wrong_N: Bools, draw_N: npt.NDArray[np.float64]) -> pa.Table:
    """Return the table with the ages of some rows moved to another class, the same way on by the same draw."""
    some = table.select(["age", "agesub", "agesup"]).filter(pa.array(is_wrong_N)).to_pylist()
    moved = [_moved(**labels, draw=draw) for labels, draw in zip(some, draw_N[is_wrong_N].tolist(), strict=True)]
    for k, name in enumerate(("age", "agesub", "agesup")):
        table = _replaced(table, name, is_wrong_N, [labels[k] for labels in moved])
    return table


def _moved(
    *, age: float | None, agesub: str | None, agesup: str | None, draw: float
) -> tuple[float | None, str | None, str | None]:
    """Return age, agesub and agesup in another class: another decade, or superclass where no more is known."""
    if age is None and agesub is None:
        if agesup not in SUPERS:
            return age, agesub, agesup
        return age, agesub, SUPERS[(SUPERS.index(agesup) + 1 + int(draw * (len(SUPERS) - 1))) % len(SUPERS)]
    if agesub in DECADES:
        old = DECADES.index(agesub)
    else:
        old = (min(max(int((age or 0) // 10) * 10, LOWEST), HIGHEST) - LOWEST) // 10
    new = (old + 1 + int(draw * (len(DECADES) - 1))) % len(DECADES)
    return (
        None if age is None else age % 10 + LOWEST + 10 * new,
        None if agesub is None else DECADES[new],
        None if agesup is None else SUPERCLASSES[DECADES[new]],
    )


def _replaced(table: pa.Table, name: str, is_new_N: Bools, values: Sequence[object]) -> pa.Table:
    place = table.schema.get_field_index(name)
    old = table[name].combine_chunks()
    column = pc.replace_with_mask(old, pa.array(is_new_N), pa.array(values, old.type))
    return table.set_column(place, table.schema.field(place), column)
