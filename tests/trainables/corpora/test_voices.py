import numpy as np
import pytest

from trainables.corpora.voices import F0_HZ, gender_of, voice_of


def voice(*, key=5, gender="F", age=45.0, idio=0.0, sep=1.0):
    return voice_of(key=key, seed=0, gender=gender, age=age, idio=idio, sep=sep)


@pytest.mark.parametrize(
    ("gender", "expected"),
    [("F", [198, 188, 180, 181, 180]), ("M", [121, 116, 111, 112, 119])],
)
def test_f0_over_age_goes_through_its_knots(gender, expected):
    """At the middle of the 20s to the 60s, and straight between them."""
    found = [voice(gender=gender, age=age).f0_hz for age in (25, 35, 45, 55, 65)]
    assert found == pytest.approx(expected)
    assert voice(gender=gender, age=30).f0_hz == pytest.approx((expected[0] + expected[1]) / 2)
    assert F0_HZ["F"] == (198, 188, 180, 181, 180, 182)


def test_every_effect_of_age_scales_with_sep():
    """Without it age is not heard; with it older voices are slower, rougher, breathier and darker."""
    for age in (20.0, 70.0):
        assert voice(age=age, sep=0).syllable_rate == voice(sep=0).syllable_rate
        assert voice(age=age, sep=0).f0_hz == voice(sep=0).f0_hz
        assert np.array_equal(voice(age=age, sep=0).colour, voice(sep=0).colour)
    young, old, older = voice(age=20), voice(age=70), voice(age=70, sep=2)
    assert young.syllable_rate > old.syllable_rate > older.syllable_rate
    assert young.jitter < old.jitter < older.jitter
    assert young.shimmer < old.shimmer < older.shimmer
    assert young.aspiration < old.aspiration < older.aspiration
    assert young.formants.mean() > old.formants.mean() > older.formants.mean()


def test_speakers_differ_by_idio_and_keep_their_deviation_under_another_gender():
    """Without it all of one gender and age are one; a speaker high for a woman is high for a man too."""
    assert voice(key=1).f0_hz == voice(key=2).f0_hz
    deviations = {
        gender: np.array([np.log(voice(key=key, gender=gender, idio=0.7).f0_hz) for key in range(50)])
        for gender in "FM"
    }
    assert deviations["F"].std() == pytest.approx(0.095 * 0.7, rel=0.3)
    assert np.corrcoef(deviations["F"], deviations["M"])[0, 1] == pytest.approx(1)


def test_genders_take_turns():
    """So that any even number of speakers is balanced."""
    assert [gender_of(number) for number in range(4)] == ["F", "M", "F", "M"]
