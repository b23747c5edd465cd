import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora.corpus import CorpusError
from trainables.corpora.where import Sieve

COLUMNS = ("path", "speaker", "gender", "split", "age", "room")
SCHEMA = pa.schema(dict.fromkeys(COLUMNS, pa.string()))
CELLS = {"path": "a/1.wav", "speaker": "007", "gender": "여", "split": "Eval", "age": "31.0", "room": "Big Hall "}


def rows(*records):
    return pa.Table.from_pylist([CELLS | record for record in records], schema=SCHEMA)


def passes(where, **cells):
    (is_chosen,) = Sieve("m.csv", wheres=[where], columns=COLUMNS).chooses(rows(cells))
    return is_chosen


def problems_of(where, columns=COLUMNS):
    with pytest.raises(CorpusError) as error:
        Sieve("m.csv", wheres=[where], columns=columns)
    return list(error.value.problems)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, True),
        ({"room": "big hall"}, True),
        ({"room": "hall"}, False),
        ({"speaker": "007"}, True),
        ({"speaker": "7"}, False),
        ({"speaker": 7}, True),
        ({"age": 31}, True),
        ({"age": "31"}, False),
        ({"age": [30, 31.0]}, True),
        ({"age": [30, 32]}, False),
        ({"room": [31, "BIG HALL"]}, True),
        ({"gender": "F"}, True),
        ({"gender": ["female", "male"]}, True),
        ({"gender": "m"}, False),
        ({"split": "test"}, True),
        ({"split": "dev"}, False),
        ({"age": {"min": 31, "max": 31}}, True),
        ({"age": {"min": 31.5}}, False),
        ({"age": {"max": 30}}, False),
        ({"room": {"min": 0}}, False),
        ({"age": 31, "room": "small"}, False),
    ],
    ids=str,
)
def test_a_cell_meets_a_condition(where, expected):
    """Numbers as numbers, texts without regard to case, genders and splits by their meaning; all conditions hold."""
    assert expected == passes(where)


@pytest.mark.parametrize(
    ("value", "cell"),
    [(True, "True"), (False, "false"), (datetime.date(2024, 1, 5), "2024-01-05"), ("", ""), ("diverse", "Diverse")],
)
def test_other_values_are_compared_as_they_are_written(value, cell):
    """Truth, dates, nothing at all, and a gender that has no spelling of ours."""
    assert passes({"room": value}, room=cell)
    assert not passes({"room": value}, room="something")
    assert passes({"gender": "diverse"}, gender="Diverse")


@pytest.mark.parametrize("cell", ["", "nan", "inf", "old", "30 years"])
def test_what_is_no_number_is_in_no_range(cell):
    """Empty cells too."""
    assert not passes({"age": {"min": -1e9}}, age=cell)
    assert not passes({"age": {"max": 1e9}}, age=cell)


@given(ages=st.lists(st.one_of(st.integers(0, 90), st.none())), low=st.integers(0, 90), width=st.integers(0, 40))
def test_ranges_choose_what_a_loop_chooses(ages, low, width):
    """Both ends belong to it, and an upper and a lower part share their border alone."""
    sieve = Sieve(
        "m.csv", wheres=[{"age": {"min": low, "max": low + width}}, {"age": {"min": low + width}}], columns=COLUMNS
    )
    is_chosen_N = sieve.chooses(rows(*({"age": "" if age is None else str(age)} for age in ages)))

    assert [age is not None and low <= age for age in ages] == is_chosen_N.tolist()
    assert len(ages) == sieve.num_seen


def test_a_row_passes_any_filter_and_each_filter_tells_its_count():
    """Three rows: one for the first, one for both, one for none; an entry without conditions is not spoken of."""
    wheres = [{"speaker": ["a", "b"]}, {"speaker": "b", "age": {"max": 40}}]
    sieve = Sieve("m.csv", wheres=wheres, columns=COLUMNS)

    assert [True, True, False] == sieve.chooses(rows(*({"speaker": name} for name in "abc"))).tolist()
    assert [
        'm.csv: where { speaker = ["a", "b"] } chooses 2 of 3 rows',
        'm.csv: where { speaker = "b", age = { max = 40 } } chooses 1 of 3 rows',
    ] == sieve.notes()
    all_of_it = Sieve("m.csv", wheres=[{}, {"speaker": "a"}], columns=COLUMNS)

    assert all_of_it.chooses(rows({"speaker": "a"}, {})).all()
    assert ['m.csv: where { speaker = "a" } chooses 1 of 2 rows'] == all_of_it.notes()


def test_a_filter_that_chooses_nothing_is_an_error():
    """Even if another entry of the role chooses something; a long list is told shortened."""
    speakers = [f"s{i}" for i in range(9)]
    sieve = Sieve("m.csv", wheres=[{"speaker": speakers}, {"age": 31}], columns=COLUMNS)
    sieve.chooses(rows({}))
    with pytest.raises(CorpusError) as error:
        sieve.notes()

    shown = '["s0", "s1", "s2", "s3", "s4", … 4 more]'
    assert f"m.csv: where {{ speaker = {shown} }} leaves none of its 1 rows" == str(error.value)


def test_mistakes_are_told_at_once():
    """Unknown columns with the nearest, and conditions that are none."""
    where = {
        "aeg": 1,
        "age": {"mim": 3},
        "room": [],
        "gender": ["F", ["M"]],
        "speaker": None,
        "split": {},
        "path": {"min": "a"},
    }

    assert problems_of(where) == [
        f"m.csv: where: no column 'aeg'; columns: {', '.join(map(repr, COLUMNS))}; did you mean 'age'?",
        "m.csv: where.age: no 'mim' in a range, it has min and max; did you mean 'min'?",
        "m.csv: where.room: a list needs at least one value",
        "m.csv: where.gender: a condition is a value, a list of values, or { min, max }, but got ['M'] in a list",
        "m.csv: where.speaker: a condition is a value, a list of values, or { min, max }, but got None",
        "m.csv: where.split: a range needs min, max, or both",
        "m.csv: where.path: min: a number, but got 'a'",
    ]
    assert problems_of({"age": {"min": 3, "max": 2}}) == [
        "m.csv: where.age: `min <= max` must hold, but got min=3, max=2"
    ]
    assert problems_of({"age": float("nan")})
    assert problems_of({"age": {"min": True}})
