"""Ages as corpora write them, and the classes of the paper on mixup knowledge distillation that they give.

Five classes of decades, agesub 20s to 60s, lie in three, agesup 20-30, 40-50 and 60. A decade is a label. Who is 70 or
over joins 60s; who is under 20 has no class and is left out; a span that crosses a decade's border is unknown.
"""

import datetime
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from trainables.corpora.found import UNKNOWN_AGE, Age, Faulty, Finding, Found, Note

SUPERCLASSES = {"20s": "20-30", "30s": "20-30", "40s": "40-50", "50s": "40-50", "60s": "60"}
LOWEST, HIGHEST = 20, 60  # the decades that have a class
OLDEST = 120

NOT_GIVEN = "no age"
NOT_UNDERSTOOD = "age not understood"
AMBIGUOUS = "age spans two classes"
UNDER_20 = "under 20"
OVER_70 = "70 or over, in class 60"

# As Common Voice writes them, "fourties" included.
TENS = "teens twenties thirties forties fifties sixties seventies eighties nineties"
WORDS = {word: 10 * tens for tens, word in enumerate(TENS.split(), start=1)} | {"fourties": 40}
MISSING = {"", "none", "null", "nan", "na", "n/a", "-", "unknown", "알수없음", "알 수 없음", "모름", "미상", "<na>"}
UNIT = r"\s*(?:세|살|years?(?:\s+old)?|yrs?|y\.?o\.?)?"
NUMBER = re.compile(rf"(?:만\s*)?(\d{{1,3}}(?:\.\d+)?){UNIT}")
DECADE = re.compile(r"(\d{1,2}0)\s*(?:대(?:\s*(?:초반|중반|후반))?(?:\(\?\))?|\(\?\)|\(대\)|['’]?s)")
SPAN = re.compile(rf"(\d{{1,3}}){UNIT}대?\s*(?:-|–|~|to)\s*(?:(\d{{1,3}}){UNIT}|(\d{{1,2}}0)\s*대)")
OPEN_SPAN = re.compile(rf"(?:over\s*|>=?\s*)(\d{{1,3}}){UNIT}대?|(\d{{1,3}}){UNIT}대?\s*(?:\+|이상|and over|or over)")
UPPER_SPAN = re.compile(rf"(?:under\s*|<\s*)(\d{{1,3}}){UNIT}|(\d{{1,3}}){UNIT}\s*미만")
DATE = re.compile(r"(\d{4})\s*(?:[-./년]\s*(\d{1,2})\s*[-./월]\s*(\d{1,2})일?|(\d{2})(\d{2}))?(?:년|[\sTt].*)?")
SHORT_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2})")  # TIMIT: month/day/year of the twentieth century


@dataclass(frozen=True, slots=True)
class AgeReading:
    """An age that was read; `sort` says what is to be counted of it ("" for an ordinary age)."""

    age: Age = UNKNOWN_AGE
    sort: str = ""
    written: str = ""


def read_age(written: object, *, recorded: object = None, by_decade: bool = False) -> AgeReading:
    """Return the age that a cell or a JSON value writes, in whatever spelling.

    `written` may be a number, "27", "27세", "20대", "20(?)", "twenties", "20s", "20-29", "60 이상", in full-width
    digits too; or the date or year of birth, if `recorded` is the date of the recording. `by_decade` is for corpora
    that write decades alone: "20" is then twenty to twenty-nine; "0" stays what is not known.
    """
    # YAML and JSON have true and 27.0 beside 27.
    text = "" if written is None or isinstance(written, bool) else str(written)
    text = unicodedata.normalize("NFKC", text).strip().casefold()
    if text in MISSING:
        return AgeReading(sort=NOT_GIVEN)
    if match := NUMBER.fullmatch(text):
        years = float(match[1])
        if by_decade and years >= 10 and years % 10 == 0:
            return _of_span(years, years + 9, text)
        return _of_years(years, text)
    if match := DECADE.fullmatch(text):
        return _of_span(float(match[1]), float(match[1]) + 9, text)
    if text in WORDS:
        return _of_span(WORDS[text], WORDS[text] + 9, text)
    if match := SPAN.fullmatch(text):
        # The last decade is meant with its last year.
        return _of_span(float(match[1]), float(match[2] or int(match[3]) + 9), text)
    if match := UPPER_SPAN.fullmatch(text):
        return _of_span(0, float(match[1] or match[2]) - 1, text)
    if match := OPEN_SPAN.fullmatch(text):
        return _of_span(float(match[1] or match[2]), OLDEST, text)
    if recorded is not None and (span := _since_birth(text, str(recorded).strip())):
        low, high = span
        return _of_years(low, text) if low == high else _of_span(low, high, text)
    return AgeReading(sort=NOT_UNDERSTOOD, written=text)


def with_age(found: Found, reading: AgeReading, *, is_asked: bool = True) -> Iterator[Finding]:
    """Yield the utterance with its age and a note if there is something to count; who is under 20 is left out.

    `is_asked` is whether the corpus has ages at all: one without them needs no note an utterance.
    """
    if reading.sort == UNDER_20:
        yield Faulty(found.path, f"{UNDER_20}: '{reading.written}', which has no age class")
        return
    if reading.sort and (is_asked or reading.sort != NOT_GIVEN):
        yield Note(found.path, f"{reading.sort}: '{reading.written}'" if reading.written else reading.sort)
    yield replace(found, age=reading.age)


def _of_years(years: float, written: str) -> AgeReading:
    # No speaker is younger than a year; zero stands for "not known" in number columns.
    if not 1 <= years <= OLDEST:
        return AgeReading(sort=NOT_UNDERSTOOD, written=written)
    reading = _of_span(math.floor(years), math.floor(years), written)
    return replace(reading, age=replace(reading.age, years=years)) if reading.age != UNKNOWN_AGE else reading


def _of_span(low: float, high: float, written: str) -> AgeReading:
    """Return the label of all ages from low to high, if it is one."""
    if not 0 <= low <= high <= OLDEST:
        return AgeReading(sort=NOT_UNDERSTOOD, written=written)
    if high < LOWEST:
        return AgeReading(sort=UNDER_20, written=written)
    first, last = (min(int(end) // 10 * 10, HIGHEST) for end in (low, high))
    if low < LOWEST or first != last:
        return AgeReading(sort=AMBIGUOUS, written=written)
    agesub = f"{first}s"
    age = Age(years=None, agesup=SUPERCLASSES[agesub], agesub=agesub)
    return AgeReading(age=age, sort=OVER_70 if low >= HIGHEST + 10 else "", written=written)


def _since_birth(birth: str, recorded: str) -> tuple[int, int] | None:
    """Return the lowest and highest age in whole years on the day of recording, None if these are no dates."""
    born, heard = _date(birth), _date(recorded)
    if born is None or heard is None:
        return None
    years = heard[0] - born[0]
    if born[1:] and heard[1:]:
        exact = years - (heard[1:] < born[1:])
        return exact, exact
    return years - 1, years


def _date(text: str) -> tuple[int, ...] | None:
    """Return (year, month, day), or (year,) alone, None if it is no date."""
    if match := SHORT_DATE.fullmatch(text):
        parts = (1900 + int(match[3]), int(match[1]), int(match[2]))
    elif match := DATE.fullmatch(text):
        parts = tuple(int(part) for part in match.groups() if part is not None)  # type: ignore[assignment]
    else:
        return None
    try:
        datetime.date(*parts) if len(parts) == 3 else datetime.date(parts[0], 1, 1)
    except ValueError:
        return None
    return parts
