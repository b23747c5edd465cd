"""Augmentation by the recipe, against a loop written straight from it."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve
from torchaudio.functional import add_noise

from trainables.augmentation import COUNTS, KINDS, SNR_DB, augment, plan_augmentation
from trainables.corpora.banks import Bank, Clips

SAMPLES = 1500


def clips_of(lengths, seed):
    rng = np.random.default_rng(seed)
    samples = [(rng.standard_normal(length) * 2000).astype(np.int16) for length in lengths]
    return Clips(samples_N=np.concatenate(samples), ends_C=np.cumsum(lengths))


def bank_of(**clips):
    made = {
        "music": clips_of([4000, 900, 2500], 0),
        "noise": clips_of([1500, 5000], 1),
        "speech": clips_of([700 + 300 * i for i in range(12)], 2),
        "rooms": clips_of([400, 2000, 50], 3),
    }
    return Bank(clips=made | clips, sample_rate=16000, fingerprint="")


BANK = bank_of()


def plan_of(num_crops=60, *, seed=5, epoch=2, batch=3, bank=BANK):
    return plan_augmentation(seed=seed, epoch=epoch, batch=batch, num_crops=num_crops, bank=bank)


def crops(num_crops=60, *, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(num_crops, SAMPLES, generator=generator, dtype=torch.float64) * 3000).to(dtype)


def as_the_recipe_says(waveforms, plan, bank):
    """One crop after the other, one clip after the other."""
    out = []
    for i, audio in enumerate(waveforms.numpy()):
        kind = KINDS[plan.kind_B[i]]
        if kind == "rooms":
            rir = bank.clips["rooms"].clip(plan.clips_BK[i, 0]).astype(float)
            out.append(convolve(audio, rir / np.sqrt((rir**2).sum()), mode="full")[: len(audio)])
            continue
        total = audio.copy()
        for k in range(plan.count_B[i]):
            noise = bank.clips[kind].clip(plan.clips_BK[i, k]).astype(float)
            if len(noise) < len(audio):
                noise = np.pad(noise, (0, len(audio) - len(noise)), "wrap")
            start = int(plan.starts_BK[i, k] * (len(noise) - len(audio)))
            noise = noise[start : start + len(audio)]
            clean_db, noise_db = (10 * np.log10((x**2).mean()) for x in (audio, noise))
            total += np.sqrt(10 ** ((clean_db - noise_db - plan.snr_BK[i, k]) / 10)) * noise
        out.append(total)
    return np.stack(out)


def test_the_batched_form_is_the_recipe():
    """Every kind occurs in the batch; in double precision the two agree to the last digits."""
    plan, waveforms = plan_of(), crops()

    assert set(range(5)) == set(plan.kind_B.tolist())
    np.testing.assert_allclose(
        as_the_recipe_says(waveforms, plan, BANK), augment(waveforms, plan=plan, bank=BANK), rtol=1e-5, atol=1e-3
    )


def test_one_noise_is_torchaudios_add_noise():
    """Music at its level, by the library's own function."""
    plan, waveforms = plan_of(200), crops(200)
    rows = np.flatnonzero((plan.kind_B == KINDS.index("music")) & (plan.clips_BK[:, 0] == 0))[:1]
    clip = BANK.clips["music"].clip(0).astype(float)
    start = int(plan.starts_BK[rows[0], 0] * (len(clip) - SAMPLES))
    noise = torch.from_numpy(clip[start : start + SAMPLES])[None]
    wanted = add_noise(waveforms[rows], noise, torch.from_numpy(plan.snr_BK[rows, 0]))

    torch.testing.assert_close(wanted, augment(waveforms, plan=plan, bank=BANK)[rows])


def test_levels_are_hit_exactly():
    """What was added, by its measured power over the crop."""
    plan, waveforms = plan_of(), crops()
    added = augment(waveforms, plan=plan, bank=BANK) - waveforms
    for kind in ("music", "noise"):
        rows = np.flatnonzero(plan.kind_B == KINDS.index(kind))
        ratio = waveforms[rows].square().mean(1) / added[rows].square().mean(1)
        np.testing.assert_allclose(10 * torch.log10(ratio), plan.snr_BK[rows, 0], atol=1e-6)


def test_what_is_planned_has_the_recipes_shares_and_ranges():
    plan = plan_of(5000)

    np.testing.assert_allclose(np.bincount(plan.kind_B, minlength=5) / 5000, 0.2, atol=0.02)
    for number, kind in enumerate(KINDS):
        rows = plan.kind_B == number
        low, high = SNR_DB.get(kind, (0, 0))
        fewest, most = COUNTS.get(kind, (int(kind == "rooms"),) * 2)
        assert set(range(fewest, most + 1)) == set(plan.count_B[rows].tolist())
        assert low <= plan.snr_BK[rows].min() <= low + 0.1
        assert high - 0.1 <= plan.snr_BK[rows].max() <= high
        if kind != "none":
            assert set(range(len(BANK.clips[kind]))) == set(plan.clips_BK[rows, 0].tolist())
    speech = plan.clips_BK[plan.kind_B == KINDS.index("speech")]
    assert {7} == {len(set(row)) for row in speech.tolist()}


def test_few_recordings_of_speech_are_each_used_once():
    """With four, a babble has at most four voices."""
    bank = bank_of(speech=clips_of([800] * 4, 4))
    plan = plan_of(500, bank=bank)
    rows = np.flatnonzero(plan.kind_B == KINDS.index("speech"))

    assert {3, 4} == set(plan.count_B[rows].tolist())
    assert all(len(set(plan.clips_BK[i, : plan.count_B[i]].tolist())) == plan.count_B[i] for i in rows)
    assert plan.clips_BK[rows].max() == 3


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(torch.float32, 1e-5, 5e-3), (torch.float64, 1e-12, 1e-9)])
def test_a_share_alone_is_what_it_is_in_the_whole(dtype, rtol, atol):
    """Workers augment their speakers, and the queries of their partners, to the same samples, but for rounding."""
    plan, waveforms = plan_of(), crops(dtype=dtype)
    whole = augment(waveforms, plan=plan, bank=BANK)
    for some in (np.arange(0, 30), np.arange(30, 60), np.random.default_rng(0).permutation(60)[:7]):
        part = augment(waveforms[some], plan=plan.take(some), bank=BANK)
        torch.testing.assert_close(whole[some], part, rtol=rtol, atol=atol)


def test_plans_follow_from_seed_epoch_and_batch():
    """Each of them changes it; nothing else does."""
    kinds = [tuple(plan.kind_B) for plan in (plan_of(), plan_of(seed=6), plan_of(epoch=3), plan_of(batch=4))]

    assert 4 == len(set(kinds))
    assert kinds[0] == tuple(plan_of().kind_B)
    np.testing.assert_array_equal(plan_of().starts_BK, plan_of().starts_BK)


def test_silence_gives_no_nan():
    """Silent crops, silent clips and a silent response: nothing is added, nothing is lost."""
    silent = Clips(samples_N=np.zeros(3000, dtype=np.int16), ends_C=np.array([3000]))
    mute = bank_of(music=silent, noise=silent, rooms=silent, speech=silent)
    waveforms = crops()
    nothing = torch.zeros_like(waveforms)

    torch.testing.assert_close(waveforms, augment(waveforms, plan=plan_of(bank=mute), bank=mute))
    torch.testing.assert_close(nothing, augment(nothing, plan=plan_of(), bank=BANK))


@pytest.mark.parametrize("dtype", [torch.int16, torch.float32, torch.float64])
def test_the_scale_and_the_given_samples_stay(dtype):
    """16-bit samples come back as floats of the same scale; the batch that was given is not changed."""
    waveforms = crops(dtype=dtype)
    before, plan = waveforms.clone(), plan_of()
    after = augment(waveforms, plan=plan, bank=BANK)

    assert (torch.float32 if dtype == torch.int16 else dtype) == after.dtype
    torch.testing.assert_close(before, waveforms, rtol=0, atol=0)
    plain = plan.kind_B == 0
    torch.testing.assert_close(before[plain].to(after.dtype), after[plain], rtol=0, atol=0)
    assert not after.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_worked_on_in_float32(dtype):
    """All five kinds, and the result is that of float32, cast back."""
    waveforms, plan = (crops() / 32768).to(dtype), plan_of()
    after = augment(waveforms, plan=plan, bank=BANK)

    assert dtype == after.dtype
    torch.testing.assert_close(augment(waveforms.float(), plan=plan, bank=BANK).to(dtype), after, rtol=0, atol=0)


def test_a_plan_for_other_crops_is_refused():
    with pytest.raises(ValueError, match=r"must be \(B, T\) for a plan of 60, but got \(5, 1500\)"):
        augment(crops(5), plan=plan_of(), bank=BANK)
