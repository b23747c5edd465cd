"""Labels made wrong on purpose."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from trainables.corpora.ages import SUPERCLASSES
from trainables.corpora.conditions import CLEAN
from trainables.corpora.corpus import Row, table_of
from trainables.corpora.splits import split_of
from trainables.corpora.wrong_labels import with_wrong_labels

# Speakers whom the hash leaves in train.
SPEAKERS = [name for name in (f"s{i}" for i in range(2000)) if split_of(name) == "train"][:1000]
ROWS = [
    Row(
        source=0,
        index=i,
        utterance=f"u{i}",
        speaker=SPEAKERS[i // 3],
        gender="FM"[i // 3 % 2],
        age=20.5 + i // 3 % 50,
        agesub=f"{2 + i // 3 % 50 // 10}0s",
        agesup=SUPERCLASSES[f"{2 + i // 3 % 50 // 10}0s"],
    )
    for i in range(3000)
]


def wrong(rows, rate, seed=0):
    table, notes = with_wrong_labels(table_of(rows), replace(CLEAN, wrong=rate, seed=seed))
    return table.to_pylist(), notes


def test_a_speakers_rows_are_wrong_alike_at_the_rate():
    """Of 1000 speakers about a fifth have another gender, and about as many, others, another age; their rows agree."""
    after, notes = wrong(ROWS, 0.2)
    flipped = {row.speaker for row, new in zip(ROWS, after, strict=True) if row.gender != new["gender"]}
    moved = {row.speaker for row, new in zip(ROWS, after, strict=True) if row.age != new["age"]}

    assert 200 == pytest.approx(len(flipped), abs=45)
    assert 200 == pytest.approx(len(moved), abs=45)
    assert 40 == pytest.approx(len(flipped & moved), abs=25)
    for row, new in zip(ROWS, after, strict=True):
        assert (row.speaker in flipped) == (row.gender != new["gender"])
        assert (row.speaker in moved) == (row.agesub != new["agesub"])
    wanted = f"labels made wrong on purpose: gender of {len(flipped)} of 1000 and age of {len(moved)} of 1000 speakers"
    assert [wanted] == notes


def test_a_wrong_age_is_in_another_class_and_all_its_columns_agree():
    """Each of the other four decades is as likely; place in the decade and superclass follow."""
    after, _ = wrong(ROWS, 1.0)
    shifts = Counter()
    for row, new in zip(ROWS, after, strict=True):
        assert f"{int(new['age'] // 10)}0s" == new["agesub"] != row.agesub
        assert SUPERCLASSES[new["agesub"]] == new["agesup"]
        assert row.age % 10 == pytest.approx(new["age"] % 10)
        shifts[(int(new["age"] // 10) - int(row.age // 10)) % 5] += 1

    assert {1, 2, 3, 4} == set(shifts)
    assert min(shifts.values()) > 600


def test_what_is_not_known_stays_so():
    """Null labels are not made up; a superclass alone moves to another; 75 counts as sixties, 15 as twenties."""
    rows = [
        replace(ROWS[0], gender=None, age=None, agesub=None, agesup=None),
        replace(ROWS[3], age=None, agesub=None, agesup="60"),
        replace(ROWS[6], age=75.0, agesub=None, agesup=None),
        replace(ROWS[9], age=15.0, agesub=None, agesup=None),
    ]
    nothing, superclass, old, young = wrong(rows, 1.0)[0]

    assert [None] * 4 == [nothing[name] for name in ("gender", "age", "agesub", "agesup")]
    assert (None, None) == (superclass["age"], superclass["agesub"])
    assert superclass["agesup"] in ("20-30", "40-50")
    assert 20 <= old["age"] < 60
    assert 30 <= young["age"] < 70
    assert (None, None) == (old["agesub"], young["agesup"])


def test_official_dev_and_test_keep_their_labels():
    rows = [replace(row, split=("train", "dev", "test")[i // 3 % 3]) for i, row in enumerate(ROWS[:90])]
    after, notes = wrong(rows, 1.0)

    assert all((row.gender == new["gender"]) == (row.split != "train") for row, new in zip(rows, after, strict=True))
    assert all((row.age == new["age"]) == (row.split != "train") for row, new in zip(rows, after, strict=True))
    assert "gender of 10 of 10 and age of 10 of 10" in notes[0]


@pytest.mark.parametrize(
    ("official", "kept"),
    [((None,), ("dev", "test")), (("train", "test"), ("dev",)), (("train", "dev", "test"), ())],
)
def test_whom_the_hash_holds_out_keeps_his_labels(official, kept):
    """Without official partitions dev and test, with an official test alone dev, with an official dev nobody."""
    rows = [replace(ROWS[i], speaker=f"h{i}", split=official[0]) for i in range(300)]
    rows += [replace(ROWS[0], speaker=f"o{split}", split=split) for split in official if split]
    after, _ = wrong(rows, 1.0)

    for row, new in zip(rows[:300], after, strict=False):
        assert (split_of(row.speaker) in kept) == (row.gender == new["gender"]) == (row.age == new["age"])


def test_a_speaker_is_wrong_alone_as_in_any_corpus():
    """It follows from his name and the seed; a higher rate keeps whom a lower one has."""
    after = wrong(ROWS, 0.3)[0]
    some = np.random.default_rng(0).permutation(len(ROWS))[:40]

    assert [after[i] for i in some] == wrong([ROWS[i] for i in some], 0.3)[0]
    more = wrong(ROWS, 0.6)[0]
    assert all(
        b["gender"] == a["gender"] for row, a, b in zip(ROWS, after, more, strict=True) if a["gender"] != row.gender
    )
    assert after != wrong(ROWS, 0.3, seed=1)[0]


def test_no_rate_no_change():
    assert (table_of(ROWS[:5]).to_pylist(), []) == wrong(ROWS[:5], 0.0)
