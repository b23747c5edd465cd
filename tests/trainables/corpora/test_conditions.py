"""What may befall a corpus: how it is written, and what is drawn of it."""

from dataclasses import replace

import pytest

from trainables.corpora.conditions import CLEAN, TELEPHONE, circumstances_of, parse_condition
from trainables.corpora.corpus import CorpusError

KEYS = [f"speaker{i}/utterance.wav" for i in range(2000)]


def drawn(condition):
    return [circumstances_of(condition, key=key) for key in KEYS]


def test_options_are_read_over_the_defaults():
    condition = parse_condition("telephone?room=0.25&noise=3..9&second_db=6&wrong=0.02&seed=7")

    assert replace(TELEPHONE, room=0.25, noise=(3.0, 9.0), second_db=(6.0, 6.0), wrong=0.02, seed=7) == condition
    assert TELEPHONE == parse_condition("telephone")
    assert CLEAN == parse_condition("clean")
    assert replace(TELEPHONE, noise=None) == parse_condition("telephone?noise=off")


def test_commas_part_options_too():
    assert parse_condition("telephone?room=0&wrong=0.1") == parse_condition("telephone?room=0,wrong=0.1")


@pytest.mark.parametrize("text", ["clean", "telephone", "telephone?noise=off", "clean?t60=0.2..0.3&seed=3&wrong=0.125"])
def test_the_full_text_reads_back(text):
    assert parse_condition(text) == parse_condition(parse_condition(text).text)


def test_every_mistake_is_told_at_once():
    with pytest.raises(CorpusError) as caught:
        parse_condition("telephone?rooms=1&room=1.5&noise=9..3&second=&wrong=nan&seed=-1&t60=0.2&t60=0.3")

    assert 7 == len(caught.value.problems)
    text = str(caught.value)
    assert "no option 'rooms'" in text
    assert "did you mean 'room'?" in text
    assert "room: a share from 0 to 1, but got '1.5'" in text
    assert "noise: a number or a range low..high from -20 to 80, or off, but got '9..3'" in text
    assert "second: a share from 0 to 1, but got ''" in text
    assert "wrong: a share from 0 to 1, but got 'nan'" in text
    assert "option 't60' is there 2 times" in text


def test_an_unknown_condition_names_the_nearest():
    with pytest.raises(
        CorpusError, match=r"no condition 'phone'; conditions: clean, telephone; did you mean 'telephone'"
    ):
        parse_condition("phone?room=1")


def test_shares_and_ranges_are_those_of_the_condition():
    """Of 2000 utterances a half have a room and 15 % a second voice; levels fill their ranges."""
    found = drawn(TELEPHONE)

    assert 0.5 == pytest.approx(sum(one.room is not None for one in found) / len(found), abs=0.04)
    assert 0.15 == pytest.approx(sum(one.second_db is not None for one in found) / len(found), abs=0.03)
    for values, low, high in (
        ([one.noise_db for one in found], 5, 20),
        ([one.second_db for one in found if one.second_db is not None], 3, 12),
        ([one.room.t60_s for one in found if one.room], 0.15, 0.6),
    ):
        span = high - low
        assert low <= min(values) < low + 0.05 * span
        assert high - 0.05 * span < max(values) <= high
    assert all(one == replace(one, telephone=False, room=None, noise_db=None, second_db=None) for one in drawn(CLEAN))


def test_no_option_moves_what_the_others_draw():
    """Utterances with a room at a share of 0.3 have the same room at 0.6, and the same noise."""
    few, many = (drawn(replace(TELEPHONE, room=share)) for share in (0.3, 0.6))

    assert all(a.room == b.room for a, b in zip(few, many, strict=True) if a.room)
    assert sum(one.room is not None for one in few) < sum(one.room is not None for one in many)
    assert [one.noise_db for one in few] == [one.noise_db for one in many]
    assert [one.noise_db for one in few] == [one.noise_db for one in drawn(replace(TELEPHONE, second=1))]
    assert [one.noise_db for one in few] != [one.noise_db for one in drawn(replace(TELEPHONE, seed=1))]
