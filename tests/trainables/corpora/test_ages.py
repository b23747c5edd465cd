import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainables.corpora.ages import AMBIGUOUS, NOT_GIVEN, NOT_UNDERSTOOD, OVER_70, UNDER_20, read_age, with_age
from trainables.corpora.found import UNKNOWN_AGE, Age, Faulty, Found, Note

TWENTIES = Age(None, "20-30", "20s")
THIRTIES = Age(None, "20-30", "30s")
FORTIES = Age(None, "40-50", "40s")
FIFTIES = Age(None, "40-50", "50s")
SIXTIES = Age(None, "60", "60s")
FOUND = Found(utterance="u", path="u.wav", speaker="s")


@pytest.mark.parametrize("written", ["27", 27, 27.0, " 27 ", "27.0", "27세", "만 27세", "27살", "27 years old"])
def test_an_age_in_years_gives_both_classes(written):
    """Whatever is written round it."""
    assert read_age(written).age == Age(27.0, "20-30", "20s")
    assert read_age(written).sort == ""


@pytest.mark.parametrize(
    ("years", "agesup", "agesub"),
    [
        *((20, "20-30", "20s"), (29, "20-30", "20s"), (29.9, "20-30", "20s"), (30, "20-30", "30s")),
        *((39, "20-30", "30s"), (40, "40-50", "40s"), (49, "40-50", "40s"), (50, "40-50", "50s")),
        *((59, "40-50", "50s"), (60, "60", "60s"), (69, "60", "60s")),
    ],
)
def test_the_borders_of_the_classes(years, agesup, agesub):
    """The last year of each decade and the first of the next."""
    assert read_age(years).age == Age(float(years), agesup, agesub)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(("20대", TWENTIES), ("20 대", TWENTIES), ("20(?)", TWENTIES), ("20대(?)", TWENTIES), ("20대 초반", TWENTIES)),
        *(("20s", TWENTIES), ("20's", TWENTIES), ("twenties", TWENTIES), ("Twenties", TWENTIES), ("20-29", TWENTIES)),
        *(("20~29", TWENTIES), ("20–29세", TWENTIES), ("25-29", TWENTIES), ("30대", THIRTIES), ("thirties", THIRTIES)),
        *(("fourties", FORTIES), ("forties", FORTIES), ("fifties", FIFTIES), ("50대", FIFTIES), ("sixties", SIXTIES)),
        *(("60대", SIXTIES), ("60세 이상", SIXTIES), ("60+", SIXTIES), ("60대 이상", SIXTIES), ("60-79", SIXTIES)),
    ],
)
def test_a_decade_is_a_label(written, expected):
    """Without years, but with both classes; a span inside one class too."""
    reading = read_age(written)

    assert reading.age == expected
    assert reading.sort == ""


@pytest.mark.parametrize(
    ("written", "by_decade", "age", "sort"),
    [
        *(("0", True, UNKNOWN_AGE, NOT_UNDERSTOOD), (0, True, UNKNOWN_AGE, NOT_UNDERSTOOD)),
        *(("10", True, UNKNOWN_AGE, UNDER_20), ("30", True, THIRTIES, "")),
        *(
            ("３０대", False, THIRTIES, ""),
            ("３０～３９", False, THIRTIES, ""),
            ("２７세", False, read_age(27).age, ""),
        ),
        *(("20대~30대", False, UNKNOWN_AGE, AMBIGUOUS), ("20~30대", False, UNKNOWN_AGE, AMBIGUOUS)),
        *(("60대~70대", False, SIXTIES, ""), ("30대~30대", False, THIRTIES, "")),
        *(
            ("65대", False, UNKNOWN_AGE, NOT_UNDERSTOOD),
            ("65대 이상", False, SIXTIES, ""),
            ("over 60", False, SIXTIES, ""),
        ),
    ],
)
def test_zero_full_width_digits_spans_of_decades_and_open_spans(written, by_decade, age, sort):
    """Zero is no decade, two decades are a span, and a span is open where it says so."""
    reading = read_age(written, by_decade=by_decade)

    assert age == reading.age
    assert sort == reading.sort


@pytest.mark.parametrize("written", ["70대", "seventies", "eighties", "nineties", "90s", "70+", "70-79", "75세 이상"])
def test_70_and_over_join_60(written):
    """They are counted."""
    assert read_age(written).age == SIXTIES
    assert read_age(written).sort == OVER_70


def test_years_of_70_and_over_are_kept():
    """The class is 60's, the age what it is."""
    assert read_age(84).age == Age(84.0, "60", "60s")
    assert read_age("84").sort == OVER_70


@pytest.mark.parametrize("written", [19, "19", 7, "10대", "teens", "10-19", "15~18", "20세 미만", "under 20", "<20"])
def test_under_20_is_left_out(written):
    """There is no class for them."""
    reading = read_age(written)
    (finding,) = with_age(FOUND, reading)

    assert reading.age == UNKNOWN_AGE
    assert reading.sort == UNDER_20
    assert isinstance(finding, Faulty)
    assert finding.path == "u.wav"
    assert finding.sort == "under 20"


@pytest.mark.parametrize(
    ("written", "sort"),
    [
        *(("20-39", AMBIGUOUS), ("15-25", AMBIGUOUS), ("20-30", AMBIGUOUS), ("40대 이상", AMBIGUOUS)),
        *(("", NOT_GIVEN), (None, NOT_GIVEN), ("None", NOT_GIVEN), ("알수없음", NOT_GIVEN), ("nan", NOT_GIVEN)),
        *((float("nan"), NOT_GIVEN), (True, NOT_GIVEN), ("old", NOT_UNDERSTOOD), (0, NOT_UNDERSTOOD)),
        *((-3, NOT_UNDERSTOOD), (200, NOT_UNDERSTOOD), ("29-20", NOT_UNDERSTOOD), ("1990", NOT_UNDERSTOOD)),
        *((["20"], NOT_UNDERSTOOD), ({}, NOT_UNDERSTOOD)),
    ],
)
def test_what_is_unknown_is_counted_by_its_reason(written, sort):
    """The utterance stays, with a note."""
    reading = read_age(written)
    note, found = with_age(FOUND, reading)

    assert reading.age == UNKNOWN_AGE
    assert reading.sort == sort
    assert isinstance(note, Note)
    assert note.sort == sort
    assert found == FOUND


def test_a_corpus_without_ages_needs_no_note():
    """Nothing was asked, so nothing is missing; an age that cannot be read is told all the same."""
    assert list(with_age(FOUND, read_age(None), is_asked=False)) == [FOUND]
    assert len(list(with_age(FOUND, read_age("old"), is_asked=False))) == 2


@pytest.mark.parametrize(
    ("birth", "recorded", "expected"),
    [
        ("1990-09-01", "2021-09-01 10:11:12", Age(31.0, "20-30", "30s")),
        ("1990-09-02", "2021-09-01", Age(30.0, "20-30", "30s")),
        ("1990-09-02", "2020-09-01", Age(29.0, "20-30", "20s")),
        ("19900901", "2021.09.01", Age(31.0, "20-30", "30s")),
        ("1990년 9월 1일", "2021/9/1", Age(31.0, "20-30", "30s")),
        ("05/28/55", "03/19/86", Age(30.0, "20-30", "30s")),
        ("1985", "2021", THIRTIES),
        (1985, 2021, THIRTIES),
    ],
)
def test_a_date_of_birth_counts_to_the_recording(birth, recorded, expected):
    """Whole years; of a year of birth alone, the class if both ages it may mean share it."""
    assert read_age(birth, recorded=recorded).age == expected


@pytest.mark.parametrize(
    ("birth", "recorded", "sort"),
    [
        ("1991", "2021", AMBIGUOUS),  # 29 or 30
        ("2003-05-05", "2021-05-04", UNDER_20),
        ("2021-05-05", "2020-01-01", NOT_UNDERSTOOD),
        ("1990-13-40", "2020-01-01", NOT_UNDERSTOOD),
        ("1990-01-01", "", NOT_UNDERSTOOD),
        ("1990-01-01", None, NOT_UNDERSTOOD),
    ],
)
def test_a_birth_that_gives_no_class(birth, recorded, sort):
    """Each for its own reason."""
    assert read_age(birth, recorded=recorded).sort == sort


@given(st.dates(datetime.date(1930, 1, 1), datetime.date(1999, 12, 31)), st.integers(20, 100))
def test_on_a_birthday_the_age_goes_up(birth, years):
    """One day before it is a year less."""
    if (birth.month, birth.day) in ((2, 29), (1, 1)):
        return
    birthday = birth.replace(year=birth.year + years)
    before = birthday - datetime.timedelta(days=1)

    assert read_age(str(birth), recorded=str(birthday)).age.years == years
    expected = years - 1 if years > 20 else None
    assert read_age(str(birth), recorded=str(before)).age.years == expected


@given(st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none()), st.text(max_size=12))
@example("²0대", "")
@example("٢٧", "")
def test_no_spelling_raises(written, recorded):
    """Whatever is written, there is a class or a reason."""
    reading = read_age(written, recorded=recorded)

    assert (reading.age == UNKNOWN_AGE) == (reading.sort not in ("", OVER_70))


def test_where_decades_alone_are_written_a_number_is_one():
    """`20` of a telephone caller is no age in years."""
    assert read_age("20", by_decade=True).age == TWENTIES
    assert read_age(20, by_decade=True).age == TWENTIES
    assert read_age("27", by_decade=True).age == Age(27.0, "20-30", "20s")
    assert read_age("10", by_decade=True).sort == UNDER_20
