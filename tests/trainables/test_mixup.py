"""Mixing of waveforms and features: levels, silence, ratios."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.features import LogMel, instance_normalise
from trainables.mixup import mix_features, mix_waveforms, mixable

OWN = torch.tensor([[0.3, -0.3, 0.3, -0.3]], dtype=torch.float64)
PARTNER = torch.tensor([[0.1, 0.1, 0.0, 0.0]], dtype=torch.float64)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("volume", "gain"),
    # The own crop has RMS 0.3 and peak 0.3; the partner RMS 0.1 / sqrt(2) and peak 0.1.
    [("rms", 3 * math.sqrt(2)), ("peak", 3.0), ("none", 1.0)],
)
def test_mixture_by_hand(volume, gain):
    """0.6 of the own crop and 0.4 of the partner at the own crop's level."""
    expected = [[0.18 + 0.04 * gain, -0.18 + 0.04 * gain, 0.18, -0.18]]
    actual = mix_waveforms(waveforms_ST=OWN, partners_ST=PARTNER, ratio=0.6, volume=volume)
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("volume", ["rms", "peak"])
@given(exponent=st.floats(-5, 5), ratio=st.floats(0, 1), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_the_partners_own_level_does_not_matter(volume, exponent, ratio, seed):
    """However loud the partner was recorded, the mixture is the same."""
    own, partner = noise(3, 200, seed=seed), noise(3, 200, seed=seed + 1)
    expected = mix_waveforms(waveforms_ST=own, partners_ST=partner, ratio=ratio, volume=volume)
    louder = mix_waveforms(waveforms_ST=own, partners_ST=partner * 10**exponent, ratio=ratio, volume=volume)
    torch.testing.assert_close(louder, expected)


def test_rms_of_the_scaled_partner_is_the_own_rms():
    """Ratio 0 leaves the partner alone, at the own crop's RMS."""
    own, partner = noise(4, 500), 7 * noise(4, 500, seed=1)
    mixed = mix_waveforms(waveforms_ST=own, partners_ST=partner, ratio=0.0, volume="rms")
    torch.testing.assert_close(mixed.square().mean(1), own.square().mean(1))
    torch.testing.assert_close(mixed / mixed.norm(dim=1, keepdim=True), partner / partner.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("volume", ["rms", "peak", "none"])
def test_silent_crops_are_not_mixed(volume):
    """Own or partner silent: the row comes back bit for bit; the other rows are mixed; nothing is NaN or infinite."""
    own, partner = noise(4, 100), noise(4, 100, seed=1)
    own[0] = 0.0
    partner[1] = 0.0
    partner[2] *= 1e-9
    mixed = mix_waveforms(waveforms_ST=own, partners_ST=partner, ratio=0.4, volume=volume)
    expected = [False, False, False, True]
    assert expected == mixable(waveforms_ST=own, partners_ST=partner).tolist()
    assert own[:3].tolist() == mixed[:3].tolist()
    assert mixed.isfinite().all()
    assert own[3].tolist() != mixed[3].tolist()


@pytest.mark.parametrize("volume", ["rms", "peak", "none"])
def test_ratio_1_is_the_own_crop(volume):
    """alpha = 0 means ratio 1: no sample changes by one bit."""
    own = noise(3, 100).float()
    actual = mix_waveforms(waveforms_ST=own, partners_ST=noise(3, 100, seed=1).float(), ratio=1.0, volume=volume)
    assert own.tolist() == actual.tolist()


def test_a_partner_who_is_oneself_changes_nothing():
    """Fixed points of the permutation give the utterance itself."""
    own = noise(3, 100)
    torch.testing.assert_close(mix_waveforms(waveforms_ST=own, partners_ST=own, ratio=0.3, volume="rms"), own)


@pytest.mark.parametrize("volume", ["rms", "peak", "none"])
def test_gradients_pass_silent_rows(volume):
    """No NaN gradient hides behind the row that was left alone."""
    own = torch.stack([noise(50), torch.zeros(50, dtype=torch.float64)]).requires_grad_()
    partner = torch.stack([torch.zeros(50, dtype=torch.float64), noise(50)])
    mix_waveforms(waveforms_ST=own, partners_ST=partner, ratio=0.5, volume=volume).sum().backward()
    assert own.grad.isfinite().all()


@pytest.mark.parametrize("volume", ["rms", "peak", "none"])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_gradients_of_mixed_waveforms_are_the_numerical_ones(volume, ratio):
    """Both waveforms are differentiable, by way of their levels too."""
    pair = noise(3, 7).requires_grad_(), noise(3, 7, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda own, partners: mix_waveforms(waveforms_ST=own, partners_ST=partners, ratio=ratio, volume=volume), pair
    )


def test_gradients_of_mixed_features_are_the_numerical_ones():
    """Both features are differentiable."""
    pair = noise(2, 3, 4).requires_grad_(), noise(2, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda own, partners: mix_features(features_SFT=own, partners_SFT=partners, ratio=0.3), pair
    )


@pytest.mark.parametrize("gain", [3.0, 0.2])
def test_features_do_not_see_a_gain_common_to_both(gain):
    """Only the relative level matters to normalised log-mel features (up to the floor under the logarithm)."""
    own, partner = noise(2, 16_000).float(), 5 * noise(2, 16_000, seed=1).float()

    def features(factor):
        mixed = mix_waveforms(waveforms_ST=own * factor, partners_ST=partner * factor, ratio=0.7, volume="rms")
        return instance_normalise(LogMel(40)(mixed))

    torch.testing.assert_close(features(gain), features(1.0), rtol=0, atol=1e-3)


def test_features_are_mixed_linearly():
    """0.25 and 0.75."""
    own, partner = torch.ones(2, 3, 4), torch.full((2, 3, 4), 5.0)
    actual = mix_features(features_SFT=own, partners_SFT=partner, ratio=0.25)
    assert torch.full((2, 3, 4), 4.0).tolist() == actual.tolist()


def test_wrong_arguments_are_named():
    """Volume, ratio, shape and integers, each in a sentence."""
    with pytest.raises(ValueError, match="volume must be one of rms, peak, none, but got 'loud'"):
        mix_waveforms(waveforms_ST=OWN, partners_ST=PARTNER, ratio=0.5, volume="loud")
    with pytest.raises(ValueError, match=r"0 <= ratio <= 1 must hold, but got ratio=-0\.1"):
        mix_waveforms(waveforms_ST=OWN, partners_ST=PARTNER, ratio=-0.1, volume="rms")
    with pytest.raises(ValueError, match=r"2 dimensions, but got .*\(1, 4\).*\(1, 3\)"):
        mix_waveforms(waveforms_ST=OWN, partners_ST=PARTNER[:, :3], ratio=0.5, volume="rms")
    with pytest.raises(ValueError, match=r"floats .*int16"):
        mix_waveforms(waveforms_ST=OWN.short(), partners_ST=PARTNER.short(), ratio=0.5, volume="rms")
    with pytest.raises(ValueError, match="3 dimensions"):
        mix_features(features_SFT=OWN, partners_SFT=PARTNER, ratio=0.5)
