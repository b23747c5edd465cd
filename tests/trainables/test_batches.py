"""The plan of an epoch: who is in which batch, where crops start, how strongly and with whom queries are mixed."""

import hashlib
import tracemalloc
from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest

from trainables.batches import PlanError, draw_derangement, plan_batches, share_of

SPEAKERS = [f"s{i % 10}" for i in range(57)]  # 10 speakers of 5 or 6 utterances


def plan(
    *,
    speakers=SPEAKERS,
    recordings=None,
    train_utterances=0,
    batch_speakers=4,
    batch_utterances=2,
    beta_alpha=0.4,
    seed=3,
    **options,
):
    return plan_batches(
        speakers=speakers,
        recordings=recordings,
        train_utterances=train_utterances,
        batch_speakers=batch_speakers,
        batch_utterances=batch_utterances,
        beta_alpha=beta_alpha,
        seed=seed,
        **options,
    )


def batches_of(plan, epoch):
    return list(plan.batches(epoch))


def flat(batches):
    return [(b.utterances_SU.tolist(), b.starts_SU.tolist(), b.ratio, b.partner_S.tolist()) for b in batches]


def test_a_batch_holds_distinct_speakers_and_an_epoch_an_utterance_once():
    """A batch has S different speakers, U utterances of one speaker a row; none comes twice in an epoch."""
    for epoch in range(1, 20):
        batches = batches_of(plan(), epoch)
        for batch in batches:
            names = [{SPEAKERS[row] for row in rows} for rows in batch.utterances_SU]

            assert [1] * 4 == [len(name) for name in names]
            assert 4 == len(set.union(*names))
            assert (4, 2) == batch.starts_SU.shape
            assert ((0 <= batch.starts_SU) & (batch.starts_SU < 1)).all()
        used = Counter(row for batch in batches for row in batch.utterances_SU.flat)

        assert {1} == set(used.values())


def test_an_epoch_is_one_pass_but_for_the_last_batch():
    """Every group comes, but for those left when fewer than S distinct speakers remain."""
    groups = sum(count // 2 for count in Counter(SPEAKERS).values())
    numbers = {len(batches_of(plan(), epoch)) for epoch in range(1, 30)}

    assert numbers <= {groups // 4, groups // 4 - 1}
    assert groups // 4 in numbers


def test_a_speaker_with_many_utterances_does_not_stop_the_pass():
    """The second group of a speaker in a batch waits; when nothing but one speaker is left, the epoch ends."""
    speakers = ["many"] * 40 + ["a"] * 4 + ["b"] * 4
    batches = batches_of(plan(speakers=speakers, batch_speakers=2), 1)

    assert 2 <= len(batches) <= 4
    assert all(2 == len({speakers[row] for row in batch.utterances_SU[:, 0]}) for batch in batches)


def test_the_plan_depends_on_seed_and_epoch_alone():
    """The same (seed, epoch) gives the same batches in any order of asking; another epoch or seed gives others."""
    first = plan()
    later = batches_of(first, 7)

    assert flat(batches_of(plan(), 7)) == flat(later)
    assert flat(batches_of(first, 1)) == flat(batches_of(plan(), 1))
    assert flat(batches_of(first, 1)) != flat(later)
    assert flat(batches_of(plan(seed=4), 7)) != flat(later)


def test_the_order_of_speakers_in_the_corpus_is_of_no_matter_to_the_subset():
    """A speaker's chosen utterances are found by his name and rows."""
    chosen = plan(train_utterances=2).speakers
    by_name = {SPEAKERS[rows[0]]: rows.tolist() for rows in chosen}

    assert sorted({*SPEAKERS}) == sorted(by_name)
    assert all(rows == sorted(rows) and len(rows) == 2 for rows in by_name.values())


def test_subsets_are_nested():
    """The 2 of a speaker are among his 3, the 3 among his 5, and all settings but the seed leave them alone."""
    two, three, five = (plan(train_utterances=n).speakers for n in (2, 3, 5))
    for a, b, c in zip(two, three, five, strict=True):
        assert (2, 3, 5) == (len(a), len(b), len(c))
        assert set(a) < set(b) < set(c)
    same = plan(train_utterances=3, beta_alpha=0.0, batch_speakers=2, batch_utterances=3).speakers
    other = plan(train_utterances=3, seed=4).speakers

    assert all((a == b).all() for a, b in zip(three, same, strict=True))
    assert any((a != b).any() for a, b in zip(three, other, strict=True))


def test_plans_never_change():
    """A run that goes on must train on what it would have trained on."""
    pinned = plan(speakers=[f"s{i * i % 97}" for i in range(2000)], train_utterances=9, batch_speakers=10)
    drawn = [
        (b.utterances_SU.tolist(), b.starts_SU.tolist(), b.partner_S.tolist(), b.ratio)
        for epoch in (1, 2)
        for b in batches_of(pinned, epoch)
    ]

    assert "aa50e0c97d38f7da" == hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]


def test_plans_with_passes_and_derangements_never_change():
    """Their streams too are what a run that goes on needs again."""
    speakers = [f"s{i * i % 97}" for i in range(500)]
    pinned = plan(speakers=speakers, batch_speakers=10, passes=2, partner="derangement", shares=2)

    assert "9630bb5e4f7e14af" == hashlib.sha256(repr(flat(batches_of(pinned, 1))).encode()).hexdigest()[:16]


def test_the_first_of_several_passes_is_the_only_one():
    """More passes come after it and change nothing of it, nor of each other."""
    one, two, five = (batches_of(plan(passes=passes), 4) for passes in (1, 2, 5))

    assert flat(batches_of(plan(), 4)) == flat(one) == flat(two)[: len(one)]
    assert flat(two) == flat(five)[: len(two)]


def test_an_epoch_of_passes_holds_every_group_of_each():
    """All speakers in every batch: nothing is left over, and each utterance comes once a pass, in other groups."""
    speakers = [f"s{i % 10}" for i in range(40)]
    passes = batches_of(plan(speakers=speakers, batch_speakers=10, passes=3), 1)

    assert 6 == len(passes)
    pairs = []
    for first in (0, 2, 4):
        rows_GU = np.concatenate([batch.utterances_SU for batch in passes[first : first + 2]])
        pairs.append({frozenset(rows) for rows in rows_GU.tolist()})
        assert list(range(40)) == sorted(rows_GU.flat)
    assert 3 == len({frozenset(each) for each in pairs})
    ratios = {batch.ratio for batch in passes}
    assert 6 == len(ratios)
    assert not ratios & {batch.ratio for batch in batches_of(plan(speakers=speakers, batch_speakers=10, passes=3), 2)}


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_an_epoch_of_steps_is_the_beginning_of_as_many_passes_as_it_takes(steps):
    """So many batches whatever a pass holds; `passes` does not matter."""
    of_passes = batches_of(plan(passes=steps), 5)
    of_steps = batches_of(plan(steps=steps, passes=3), 5)

    assert steps == len(of_steps) <= len(of_passes)
    for a, b in zip(of_steps, of_passes, strict=False):
        assert (a.utterances_SU == b.utterances_SU).all()
        assert (a.starts_SU == b.starts_SU).all()
        assert (a.partner_S == b.partner_S).all()
        assert a.ratio == b.ratio


@pytest.mark.parametrize("options", [{}, {"passes": 3}, {"steps": 1}, {"steps": 20}], ids=str)
def test_batches_are_counted_without_being_drawn(options):
    """As many as there are, in every epoch."""
    counted = plan(**options)

    for epoch in range(1, 9):
        assert len(batches_of(counted, epoch)) == counted.num_batches(epoch)


def test_no_more_than_a_pass_is_held(voxceleb2):
    """An epoch of a thousand passes of VoxCeleb2 would be gigabytes; its first batches are a pass's at once."""
    wanted = {**voxceleb2, "train_utterances": 2, "batch_speakers": 400}
    first = next(plan(**wanted).batches(1))

    tracemalloc.start()
    began = list(islice(plan(**wanted, passes=1000).batches(1), 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert flat([first]) == flat(began[:1])
    assert peak < 64 << 20


def test_speakers_may_be_a_column_of_a_table():
    """In one piece or several."""
    column = pa.chunked_array([SPEAKERS[:20], SPEAKERS[20:]])

    assert flat(batches_of(plan(), 1)) == flat(batches_of(plan(speakers=column), 1))
    assert flat(batches_of(plan(), 1)) == flat(batches_of(plan(speakers=column.combine_chunks()), 1))


@pytest.fixture(scope="module")
def voxceleb2():
    """A table shaped like VoxCeleb2's dev set: 5,994 speakers, 10 to 30 utterances each, about 5 a video."""
    counts = 10 + np.random.default_rng(0).integers(21, size=5994)
    who = np.repeat(np.arange(5994), counts)
    names = pa.array([f"id{i:05d}" for i in range(5994)])
    videos = pa.array(np.random.default_rng(1).integers(4, size=len(who))).cast(pa.string())
    return {"speakers": names.take(pa.array(who)), "recordings": videos}


def test_subsets_of_voxceleb2_are_those_of_the_paper(voxceleb2):
    """2, 3, 5 and 10 of each of 5,994 speakers, nested, whatever the mixing, other ones with another seed."""
    chosen = {}
    for count, total in {2: 11_988, 3: 17_982, 5: 29_970, 10: 59_940}.items():
        paper = plan(**voxceleb2, train_utterances=count, batch_speakers=400, seed=1)
        rows = np.concatenate(paper.speakers)

        assert (5994, 0) == (len(paper.speakers), paper.num_left_out)
        assert total == len(rows) == len(np.unique(rows))
        chosen[count] = set(rows.tolist())
    assert chosen[2] < chosen[3] < chosen[5] < chosen[10]
    mixed = plan(**voxceleb2, train_utterances=2, batch_speakers=10, beta_alpha=0.0, seed=1)
    other = plan(**voxceleb2, train_utterances=2, batch_speakers=400, seed=2)

    assert chosen[2] == set(np.concatenate(mixed.speakers).tolist())
    assert len(chosen[2] & set(np.concatenate(other.speakers).tolist())) < 0.2 * len(chosen[2])


def test_a_subset_takes_different_recordings_first():
    """As many recordings as there are, and no second utterance of one before the first of another."""
    recordings = [f"r{i // 10 % 3}" for i in range(57)]  # each speaker has 3, of 2 utterances mostly
    for count in (2, 3, 4, 5):
        for rows in plan(recordings=recordings, train_utterances=count).speakers:
            times = Counter(recordings[row] for row in rows)

            assert min(count, 3) == len(times)
            assert max(times.values()) - min(times.values()) <= 1


@pytest.mark.parametrize("recordings", [[None] * 57, [f"r{i}" for i in range(57)]], ids=["none", "one each"])
def test_utterances_of_recordings_of_their_own_are_chosen_as_without(recordings):
    """Where recordings say nothing, the subset is that of a corpus without them."""
    for count in (2, 3, 0):
        with_them = batches_of(plan(recordings=recordings, train_utterances=count), 1)

        assert flat(batches_of(plan(train_utterances=count), 1)) == flat(with_them)


def test_recordings_are_of_no_matter_to_the_whole():
    """Only a subset is chosen by them."""
    assert flat(batches_of(plan(recordings=["r"] * 57), 2)) == flat(batches_of(plan(), 2))


def test_only_the_subset_is_trained_on():
    """With 2 utterances a speaker every epoch uses the same 20 of them, but for the incomplete batch."""
    limited = plan(train_utterances=2)
    allowed = {row for rows in limited.speakers for row in rows}
    used = {row for epoch in range(1, 9) for batch in batches_of(limited, epoch) for row in batch.utterances_SU.flat}

    assert 20 == len(allowed)
    assert allowed == used


@pytest.mark.parametrize(
    ("settings", "numbers"),
    [
        ({"batch_speakers": 11}, "batch_speakers=11 and 10 speakers"),
        ({"batch_utterances": 6, "batch_speakers": 8}, "batch_speakers=8 and 7 speakers"),
        (
            {"train_utterances": 2, "batch_utterances": 3},
            "of train_utterances=2, but got batch_speakers=4 and 0 speakers",
        ),
    ],
)
def test_a_batch_that_can_never_be_filled_is_an_error(settings, numbers):
    """The message names both numbers."""
    with pytest.raises(PlanError, match=numbers):
        plan(**settings)


def test_a_full_house_of_speakers_makes_batches():
    """As many speakers in a batch as there are: at least one batch an epoch."""
    assert all(len(batches_of(plan(batch_speakers=10), epoch)) >= 2 for epoch in range(1, 10))


def test_speakers_with_too_few_utterances_are_counted():
    """A speaker with one utterance has no pair: left out, and said so."""
    found = plan(speakers=[*SPEAKERS, "alone"])

    assert 1 == found.num_left_out
    assert 10 == len(found.speakers)


def test_ratio_is_one_without_mixing():
    """α = 0 means λ = 1 exactly."""
    assert {1.0} == {batch.ratio for epoch in range(1, 9) for batch in batches_of(plan(beta_alpha=0.0), epoch)}


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0])
def test_ratio_follows_the_beta_law(alpha):
    """One λ a batch, of mean 1/2 and variance 1 / (4 (2 α + 1)), not folded to the larger half."""
    drawn = plan(beta_alpha=alpha)
    ratios = np.array([batch.ratio for epoch in range(1, 501) for batch in batches_of(drawn, epoch)])

    assert len(ratios) > 2500
    assert ((0 <= ratios) & (ratios <= 1)).all()
    assert ratios.mean() == pytest.approx(0.5, abs=0.04)
    assert ratios.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.08)


def test_alpha_changes_nothing_but_the_ratio():
    """Order, crops and partners are the same for every α, so that configs are compared on the same batches."""
    plain, mixed = batches_of(plan(beta_alpha=0.0), 5), batches_of(plan(beta_alpha=0.6), 5)
    for a, b in zip(plain, mixed, strict=True):
        assert (a.utterances_SU == b.utterances_SU).all()
        assert (a.starts_SU == b.starts_SU).all()
        assert (a.partner_S == b.partner_S).all()
        assert a.ratio != b.ratio


def test_partners_are_a_permutation_with_fixed_points_allowed():
    """Everyone is somebody's partner once; about one a batch is his own."""
    partners = [batch.partner_S for epoch in range(1, 201) for batch in batches_of(plan(), epoch)]

    assert all(sorted(partner) == [0, 1, 2, 3] for partner in partners)
    assert np.mean([(partner == np.arange(4)).sum() for partner in partners]) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("batch_speakers", [2, 3, 8])
def test_a_derangement_leaves_nobody_to_himself(batch_speakers):
    """Everyone is somebody's partner once and nobody his own, in a batch of two as well."""
    drawn = plan(partner="derangement", batch_speakers=batch_speakers)
    partners = [batch.partner_S for epoch in range(1, 51) for batch in batches_of(drawn, epoch)]

    assert all(sorted(partner) == list(range(batch_speakers)) for partner in partners)
    assert not any((partner == np.arange(batch_speakers)).any() for partner in partners)


def test_every_derangement_is_as_likely():
    """Four things have nine; each comes a ninth of the time, within four standard deviations."""
    generator = np.random.default_rng(0)
    counts = Counter(tuple(draw_derangement(generator, 4).tolist()) for _ in range(9000))

    assert 9 == len(counts)
    assert max(abs(count - 1000) for count in counts.values()) < 4 * (9000 * 1 / 9 * 8 / 9) ** 0.5


@pytest.mark.parametrize("partner", ["permutation", "derangement"])
def test_partners_stay_within_their_worker_s_share(partner):
    """Two shares of a batch of six, each a permutation of its own; they differ from each other and between batches."""
    batches = [
        batch
        for epoch in range(1, 31)
        for batch in batches_of(plan(batch_speakers=6, shares=2, partner=partner), epoch)
    ]
    drawn = [(batch.partner_S[:3].tolist(), (batch.partner_S[3:] - 3).tolist()) for batch in batches]

    assert all([0, 1, 2] == sorted(share) for shares in drawn for share in shares)
    assert (2 if partner == "derangement" else 6) == len({tuple(first) for first, _ in drawn})
    assert any(first != second for first, second in drawn)
    if partner == "derangement":
        assert not any((batch.partner_S == np.arange(6)).any() for batch in batches)


@pytest.mark.parametrize(
    "options", [{"partner": "derangement"}, {"shares": 2}, {"shares": 2, "partner": "derangement"}]
)
def test_how_partners_are_drawn_changes_nothing_else(options):
    """Order, crops and λ are those of any other arm, over several passes too."""
    plain, other = batches_of(plan(passes=2), 5), batches_of(plan(passes=2, **options), 5)
    for a, b in zip(plain, other, strict=True):
        assert (a.utterances_SU == b.utterances_SU).all()
        assert (a.starts_SU == b.starts_SU).all()
        assert a.ratio == b.ratio
    assert any((a.partner_S != b.partner_S).any() for a, b in zip(plain, other, strict=True))


@pytest.mark.parametrize(("batch_speakers", "shares"), [(4, 4), (4, 3)])
def test_a_share_that_tells_nobody_apart_is_an_error(batch_speakers, shares):
    """A share of one speaker has no negatives; an uneven one is no share. Both numbers are named."""
    numbers = f"and at least twice it, .* but got batch_speakers={batch_speakers} and {shares} workers"
    with pytest.raises(PlanError, match=numbers):
        plan(batch_speakers=batch_speakers, shares=shares)


def test_workers_share_the_speakers_without_gaps():
    """Contiguous, equal, in the order of the ranks; an uneven share is an error that names both numbers."""
    assert [slice(0, 2), slice(2, 4)] == [share_of(4, rank=rank, size=2) for rank in range(2)]
    with pytest.raises(PlanError, match="batch_speakers=4 and 3 workers"):
        share_of(4, rank=0, size=3)
