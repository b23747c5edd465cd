"""`trials = "pairs?balance=gender&most=5000"`: how dev and test pairs of our own are made."""

import numpy as np
import pytest

from search_spaces.study import Source
from trainables.corpora.corpus import CorpusError
from trainables.corpora.pair_options import PairOptions, read_pair_options
from trainables.corpora.sources import open_roles
from trainables.corpora.trial_pairs import trial_pairs

BALANCED = "pairs?balance=gender"
VOICES = "synthetic?speakers=4&dev_speakers=8&test_speakers=6"


def opened(*trials, **roles):
    return open_roles({"train": [VOICES], **roles, **({"trials": list(trials)} if trials else {})}, sample_rate=16000)


def problems_of(*trials, **roles):
    with pytest.raises(CorpusError) as error:
        opened(*trials, **roles)
    return error.value.problems


def test_the_text_says_how_pairs_are_made():
    """Without an option they are made as they are without the text."""
    assert PairOptions(balance="gender") == read_pair_options(BALANCED)
    assert PairOptions(balance="gender", most=5000) == read_pair_options("pairs?most=5000&balance=gender")
    assert PairOptions() == read_pair_options("pairs")
    assert opened("pairs").fingerprint == opened().fingerprint
    assert opened("pairs").test_fingerprint == opened().test_fingerprint


def test_dev_and_test_pairs_are_balanced_and_the_fingerprints_say_so():
    """What a search sees is another thing then, although the utterances are the same."""
    plain, balanced = opened(), opened(BALANCED)
    genders = np.array(balanced.test.table["gender"].to_pylist())
    dev = trial_pairs(balanced.dev)

    assert (genders[balanced.trials.left] == genders[balanced.trials.right]).all()
    assert len(dev) < len(trial_pairs(plain.dev))
    assert plain.fingerprint != balanced.fingerprint
    assert plain.test_fingerprint != balanced.test_fingerprint
    assert plain.train.fingerprint == balanced.train.fingerprint
    assert plain.dev.table.equals(balanced.dev.table)


def test_there_are_at_most_so_many_pairs():
    """In dev and in test, balanced too; the fingerprints say it where the study does, and only there."""
    plain, few, other = opened(), opened("pairs?most=20"), opened("pairs?most=21")

    assert [20, 20] == [len(trial_pairs(few.dev)), len(few.trials)]
    assert 10 == few.trials.label.sum()
    assert 10 == len(trial_pairs(opened(f"{BALANCED}&most=10").dev))
    assert len({splits.fingerprint for splits in (plain, few, other)}) == 3
    assert len({splits.test_fingerprint for splits in (plain, few, other)}) == 3
    assert plain.train.fingerprint == few.train.fingerprint
    asked = opened("pairs?most=20000")
    assert trial_pairs(asked.dev).left.tolist() == trial_pairs(plain.dev).left.tolist()
    assert asked.fingerprint != plain.fingerprint


def test_a_given_list_stays_as_it_is(tmp_path):
    """Beside it, the option is for dev alone."""
    list_of_test = tmp_path / "list.txt"
    list_of_test.write_text(
        "1 synthetic0-test-0000-00 synthetic0-test-0000-01\n0 synthetic0-test-0000-00 synthetic0-test-0001-01\n"
    )
    given, both = opened(str(list_of_test)), opened(str(list_of_test), f"{BALANCED}&most=12")

    assert [True, False] == both.trials.label.tolist()
    assert given.test_fingerprint == both.test_fingerprint
    assert given.fingerprint != both.fingerprint
    assert len(trial_pairs(both.dev)) <= 12


def test_pairs_need_two_of_each_gender(write_manifest, records):
    """A test set that nobody asked for is left out with a note instead."""
    men = str(write_manifest([*records(3, 2, gender="M"), *records(2, 1, prefix="w", gender="F")], folder="men"))
    problem = "pairs balanced over gender need 2 women, one of them with 2 utterances, but it has 2 with 2"

    assert (f"dev: {problem}",) == problems_of(BALANCED, dev=[men])
    assert (f"test: {problem}",) == problems_of(BALANCED, test=[men])
    few = opened(BALANCED, train=["synthetic?speakers=4&test_speakers=3"])

    assert few.test is None
    assert "no test set is scored: test: pairs balanced over gender need 2 men" in few.notes[0]


def test_mistakes_are_told():
    """Unknown options and values with the nearest, doubles, and a filter."""
    text = "pairs?balanc=gender&balance=gendr&balance=gender"
    assert problems_of(text) == (
        f"trials: {text}: no option 'balanc'; options: balance, most; did you mean 'balance'?",
        f"trials: {text}: balance is one of gender, but got 'gendr'; did you mean 'gender'?",
        f"trials: {text}: option 'balance' is there 2 times",
    )
    for most in ("9", "0", "-20", "20.5", "many", ""):
        wanted = f"most is a whole number of at least 10, but got '{most}'"
        assert problems_of(f"pairs?most={most}") == (f"trials: pairs?most={most}: {wanted}",)
    assert problems_of("pairs", BALANCED) == ("trials: pairs are made in one way, but got pairs, pairs?balance=gender",)
    assert problems_of(Source(source=BALANCED, where={"gender": "F"})) == (
        "trials: pairs?balance=gender: pairs are made of all of dev and test; leave out its where",
    )
