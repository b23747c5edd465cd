"""What a corpus is called: runs go by it, so it must never change for what has one already."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora.corpus import Row, build_corpus, table_of
from trainables.corpora.fingerprints import fingerprint_of
from trainables.corpora.sources import open_roles

TEXT = st.text(max_size=6)
FACTS = st.tuples(
    TEXT,
    TEXT,
    st.none() | st.sampled_from("FM"),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | TEXT,
    st.none() | TEXT,
    TEXT,
)


def row(index, *, source=0, **cells):
    return Row(source=source, index=index, **{"utterance": f"{index}.wav", "speaker": f"s{index}", **cells})


def of_rows(rows, of_sources=None):
    table = table_of(rows)
    return fingerprint_of(table, sample_rate=16000, of_sources=of_sources or {})


def test_corpora_keep_their_fingerprints():
    """The voices' and one of hand-made rows, with names of two sources, nulls and signs that have to be escaped."""
    rows = [
        Row(
            source=i % 2,
            index=i,
            utterance=f"{'é' if i == 3 else ''}{i // 2}.wav",
            speaker=f'O\'Neil "{i % 3}"' if i % 5 else "서울",
            gender=["F", "M", None][i % 3],
            age=[20.0, 35.5, None, 0.1][i % 4],
            recording=[None, "r\\1"][i % 2],
            split=["train", None][i % 2],
            content=f"c{i}",
        )
        for i in range(40)
    ]
    made = build_corpus(table_of(rows), sources=(), sample_rate=16000).fingerprint
    voices = open_roles({"train": ["synthetic"]}, sample_rate=16000)

    assert made == "f8ed4d5bc1a88a6c7baeaba5fa5dda26334e079740aa861965be3a04034fcc6a"
    assert voices.fingerprint == "1f648c4c5357f6eba554cd84a473fc973553bdcd05568e502fbe479ed3f2b949"
    assert voices.test_fingerprint == "b8d534905c3befc2d029d24d53ab750fc07ce79fe56cb4ac9e808fd52962f2f0"


def test_voices_with_options_keep_their_fingerprint():
    """At another rate."""
    roles = {"train": ["synthetic?speakers=33&utterances=3..9&seed=5&session=1.5&seconds=1..2"]}

    assert (
        open_roles(roles, sample_rate=8000).fingerprint
        == "af7195b57be313bc592405a448361dec4fc75093d037d9a1e26f572099cdf07e"
    )


@given(facts=st.lists(FACTS, max_size=12))
def test_every_fact_counts_as_python_writes_it(facts):
    """A line a row: the tuple of its facts."""
    names = ("utterance", "speaker", "gender", "age", "recording", "split", "content")
    rows = [Row(source=0, index=i, **dict(zip(names, each, strict=True))) for i, each in enumerate(facts)]
    expected = hashlib.sha256("\n".join(["16000", *map(repr, facts)]).encode()).hexdigest()

    assert expected == of_rows(rows)


def test_age_classes_count_where_there_are_some():
    """A decade is a label too."""
    rows = [row(0), row(1)]
    found = {of_rows(rows), of_rows([rows[0], row(1, agesub="20s")]), of_rows([rows[0], row(1, agesup="20-30")])}

    assert 3 == len(found)


def test_rows_of_a_source_with_a_fingerprint_count_by_it():
    """Which rows, and of what; not in which order, under which number, or what else they say."""
    rows = [row(i, source=1) for i in range(4)]
    first = of_rows(rows, {1: "abc"})

    assert first == of_rows(rows[::-1], {1: "abc"})
    assert first == of_rows([row(i, source=1, gender="F") for i in range(4)], {1: "abc"})
    assert first == of_rows([row(i, source=0) for i in range(4)], {0: "abc", 1: "of no row"})
    assert 4 == len({first, of_rows(rows[1:], {1: "abc"}), of_rows(rows, {1: "abd"}), of_rows(rows)})


def test_sources_with_and_without_fingerprints_count_together():
    """A change in either changes the whole."""
    own = [row(i, source=1) for i in range(2)]
    plain = [row(i, source=0) for i in range(2, 4)]
    found = {
        of_rows(own + plain, {1: "abc"}),
        of_rows(own + plain, {1: "abd"}),
        of_rows(own + plain[:1], {1: "abc"}),
        of_rows(own[:1] + plain, {1: "abc"}),
        of_rows(own + plain),
    }

    assert 5 == len(found)
