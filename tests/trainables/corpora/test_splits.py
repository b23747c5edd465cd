from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora.corpus import Row, table_of
from trainables.corpora.splits import asked, assign, split_of


def row(speaker, number=0, split=None, source=0):
    return Row(source=source, index=number, utterance=f"{speaker}/{number}", speaker=speaker, split=split)


def share_of(roles):
    return assign({role: table_of(rows) for role, rows in roles.items()})


def speakers(table):
    return set(table["speaker"].to_pylist())


def test_the_hash_shares_80_10_10_and_never_changes():
    """The shares hold for 5,000 names; a few places are pinned, for a run must find its speakers where they were."""
    counts = Counter(split_of(f"speaker{i}") for i in range(5000))
    assert counts["train"] / 5000 == pytest.approx(0.8, abs=0.02)
    assert counts["dev"] / 5000 == pytest.approx(0.1, abs=0.02)
    assert [split_of(name) for name in ("id10001", "id10002", "103", "서울")] == ["dev", "train", "train", "train"]


def test_speakers_keep_their_split_when_others_are_added():
    """The first 50 speakers are shared alike alone and among 200."""
    few, many = (share_of({"train": [row(f"s{i}", u) for i in range(n) for u in range(2)]}) for n in (50, 200))
    first = {f"s{i}" for i in range(50)}
    for split in ("train", "dev", "test"):
        assert speakers(getattr(few, split)) == speakers(getattr(many, split)) & first
        assert getattr(few, split)


NAMES = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=30)
PARTITIONS = st.sampled_from([(None,), ("train",), ("train", "test"), ("train", "dev", "test")])


def places(share):
    return {name: split for split in ("train", "dev", "test") for name in speakers(getattr(share, split))}


@given(first=NAMES, more=NAMES, partitions=PARTITIONS, other=PARTITIONS)
def test_no_speaker_moves_when_speakers_or_a_source_are_added(first, more, partitions, other):
    """Whether partitions are official, official without dev, or none, in the first source and in the second."""

    def rows(names, official, source=0):
        """A speaker a partition that is always there, and the names; a partition follows from a name alone."""
        always = [row(f"{source} {split}", split=split, source=source) for split in official]
        return always + [row(name, split=official[len(name) % len(official)], source=source) for name in names]

    first, more = [f"first {name}" for name in first], [f"more {name}" for name in more]
    alone = places(share_of({"train": rows(first, partitions)}))
    longer = places(share_of({"train": rows([*first, *more], partitions)}))
    joined = places(share_of({"train": rows(first, partitions) + rows(more, other, source=1)}))

    assert set(first) <= set(alone)
    assert alone == {name: longer[name] for name in alone}
    assert alone == {name: joined[name] for name in alone}


def test_official_partitions_win():
    """The split column is followed, whatever the hash says, and nothing else is split off."""
    rows = [row(f"s{i}", split=("train", "train", "dev", "test")[i % 4]) for i in range(40)]
    share = share_of({"train": rows})
    assert (len(share.train), len(share.dev), len(share.test)) == (20, 10, 10)
    assert share.notes == ()
    assert set(share.test["split"].to_pylist()) == {"test"}


def test_official_partitions_without_dev_give_some_of_their_train_speakers():
    """Test rows stay test rows; the dev speakers are those of the hash, and this is told."""
    rows = [row(f"s{i}", split="train") for i in range(100)] + [row(f"t{i}", split="test") for i in range(5)]
    share = share_of({"train": rows})
    assert speakers(share.dev) == {f"s{i}" for i in range(100) if split_of(f"s{i}") == "dev"}
    assert speakers(share.test) == {f"t{i}" for i in range(5)}
    assert len(share.train) + len(share.dev) == 100
    assert "the official partitions have none" in share.notes[0]


def test_a_role_that_is_given_is_used_whole_and_nothing_is_split_off_for_it():
    """With dev and test given, all of train is train."""
    roles = {
        "train": [row(f"s{i}") for i in range(60)],
        "dev": [row(f"d{i}", source=1) for i in range(7)],
        "test": [row(f"t{i}", source=2) for i in range(3)],
    }
    share = share_of(roles)
    assert (len(share.train), len(share.dev), len(share.test)) == (60, 7, 3)


def test_a_role_with_official_partitions_gives_its_own_rows_alone():
    """dev = a corpus with a split column takes its dev rows, and the train corpus's dev rows are left out."""
    roles = {
        "train": [row("a", split="train"), row("b", split="dev"), row("c", split="test")],
        "dev": [row("x", split="dev", source=1), row("y", split="train", source=1)],
    }
    share = share_of(roles)
    assert (speakers(share.train), speakers(share.dev), speakers(share.test)) == ({"a"}, {"x"}, {"c"})


def test_a_dev_role_without_dev_rows_is_an_error():
    """A split column that never says dev is not taken for a dev corpus, unless its partition is asked for."""
    roles = {"train": [row("a")], "dev": [row("x", split="test", source=1)]}
    (problem,) = share_of(roles).problems
    assert problem == (
        "dev: its source has a split column, but no row with split 'dev' (it has test 1); "
        'dev = { source = …, where = { split = "test" } } takes another partition'
    )
    roles["dev"] += [row("y", split="train", source=1), row("z", split="train", source=1)]
    tables = {role: table_of(rows) for role, rows in roles.items()}
    tables["dev"] = asked("dev", tables["dev"], np.array([False, True, False]))
    assert speakers(assign(tables).dev) == {"y"}


def test_each_source_without_official_dev_gives_some_speakers():
    """Beside a source whose partitions have a dev set, one that has none gives its own, as it does alone."""
    bare = [row(f"s{i}", split="train") for i in range(100)]
    share = share_of({"train": [*bare, row("d", split="dev", source=1), row("t", split="train", source=1)]})

    assert speakers(share_of({"train": bare}).dev) | {"d"} == speakers(share.dev)


def test_speakers_in_two_splits_are_an_error():
    """They are named, five of them."""
    share = share_of(
        {"train": [row(f"s{i}") for i in range(9)], "dev": [row(f"s{i}", source=1) for i in range(9)], "test": []}
    )
    assert share.problems == (
        "train and dev must not share speakers, but both have 's0', 's1', 's2', 's3', 's4' and 4 more",
    )
