import dataclasses
import hashlib
from collections import Counter

import numpy as np
import pytest

from trainables.corpora.corpus import Row, build_corpus, table_of
from trainables.corpora.sources import open_roles
from trainables.corpora.trial_pairs import trial_pairs


def corpus_of(speakers, utterances, recordings=(None,)):
    rows = [
        Row(
            source=0,
            index=s * 1000 + u,
            utterance=f"s{s}-{u:03d}",
            speaker=f"s{s}",
            recording=recordings[u % len(recordings)],
        )
        for s in range(speakers)
        for u in range(utterances)
    ]
    return build_corpus(table_of(rows), sources=(), sample_rate=16000)


def named(corpus, pairs):
    names = corpus.table["utterance"].to_pylist()
    return [
        (names[left], names[right], bool(label))
        for left, right, label in zip(pairs.left, pairs.right, pairs.label, strict=True)
    ]


def test_small_corpora_give_every_pair_once():
    """5 speakers with 4 utterances: 30 targets, 160 non-targets, none twice, labels as the speakers say."""
    corpus = corpus_of(5, 4)
    pairs = trial_pairs(corpus)
    speaker = np.array(corpus.table["speaker"].to_pylist())
    np.testing.assert_array_equal(pairs.label, speaker[pairs.left] == speaker[pairs.right])
    assert (len(pairs), int(pairs.label.sum())) == (190, 30)
    assert len({frozenset(pair) for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}) == 190
    assert (pairs.left != pairs.right).all()


def test_targets_come_from_different_recordings_where_there_are_some():
    """Two recordings of two utterances: 4 of the 6 pairs of a speaker."""
    pairs = trial_pairs(corpus_of(3, 4, recordings=("r0", "r0", "r1", "r1")))
    assert int(pairs.label.sum()) == 3 * 4


def test_one_recording_a_speaker_gives_all_targets():
    """Where no speaker has two recordings, pairs inside a recording are all there is."""
    pairs = trial_pairs(corpus_of(3, 4, recordings=("r",)))
    assert int(pairs.label.sum()) == 3 * 6


def test_pairs_do_not_depend_on_the_order_of_rows():
    """A shuffled corpus gives the same pairs of utterances in the same order; another seed gives others."""
    corpus = corpus_of(30, 10)
    order = np.random.default_rng(0).permutation(len(corpus))
    shuffled = dataclasses.replace(corpus, table=corpus.table.take(order))
    pairs = named(corpus, trial_pairs(corpus, limit=500))
    assert named(shuffled, trial_pairs(shuffled, limit=500)) == pairs
    assert named(corpus, trial_pairs(corpus, limit=500, seed=1)) != pairs


@pytest.mark.parametrize(("speakers", "utterances"), [(40, 20), (3, 1200)])
def test_the_limit_holds_and_targets_take_half(speakers, utterances):
    """Of very many pairs a sample is drawn, of both kinds, none twice."""
    pairs = trial_pairs(corpus_of(speakers, utterances), limit=2000)
    assert (len(pairs), int(pairs.label.sum())) == (2000, 1000)
    assert len(set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))) == 2000
    assert pairs.left.dtype == pairs.right.dtype == np.int32


def test_the_voices_keep_their_pairs():
    """Figures on dev are those of the same pairs as ever."""
    dev = open_roles({"train": ["synthetic"]}, sample_rate=8000).dev
    pairs = trial_pairs(dev, limit=300, seed=2)
    found = hashlib.sha256(repr([pairs.left.tolist(), pairs.right.tolist()]).encode()).hexdigest()

    assert "7ebe79980f0b6395" == found[:16]


class TestBalance:
    """Pairs balanced over gender."""

    def counts(self, pairs, genders):
        """How many targets and non-targets there are of each pair of genders."""
        return Counter(
            (bool(label), genders[left] + genders[right])
            for left, right, label in zip(pairs.left, pairs.right, pairs.label, strict=True)
        )

    def test_women_and_men_have_as_many_of_each_kind(self):
        """All pairs of the gender that has fewer; none across, none of an unknown gender."""
        corpus = balanced_corpus({"F": 3, "M": 6, None: 2}, utterances=4)
        genders = [gender or "?" for gender in corpus.table["gender"].to_pylist()]
        found = self.counts(trial_pairs(corpus), genders)

        assert {(True, "FF"): 18, (True, "MM"): 18, (False, "FF"): 48, (False, "MM"): 48} == found

    @pytest.mark.parametrize("limit", [400, 401])
    def test_the_limit_holds(self, limit):
        """A quarter are targets of women, a quarter of men; the labels are the speakers'."""
        corpus = balanced_corpus({"F": 30, "M": 11}, utterances=9)
        speaker = np.array(corpus.table["speaker"].to_pylist())
        pairs = trial_pairs(corpus, limit=limit)

        assert {100} == set(self.counts(pairs, corpus.table["gender"].to_pylist()).values())
        assert (pairs.label == (speaker[pairs.left] == speaker[pairs.right])).all()
        assert 400 == len(set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)))
        assert pairs.label.tolist() == [True] * 200 + [False] * 200

    def test_they_depend_on_names_and_seed_alone(self):
        """Not on the order of rows."""
        corpus = balanced_corpus({"F": 12, "M": 9}, utterances=9)
        order = np.random.default_rng(0).permutation(len(corpus))
        shuffled = dataclasses.replace(corpus, table=corpus.table.take(order))
        pairs = named(corpus, trial_pairs(corpus, limit=200))

        assert pairs == named(shuffled, trial_pairs(shuffled, limit=200))
        assert pairs != named(corpus, trial_pairs(corpus, limit=200, seed=1))


def balanced_corpus(speakers, utterances):
    """So many speakers of each gender, their rows mixed."""
    rows = [
        Row(source=0, index=0, utterance=f"{u}-{gender}{s}", speaker=f"{s} {gender}", gender=gender)
        for u in range(utterances)
        for gender, number in speakers.items()
        for s in range(number)
    ]
    return build_corpus(table_of(rows), sources=(), sample_rate=16000, balance="gender")
