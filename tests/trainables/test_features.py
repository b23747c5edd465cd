"""The front end against the textbook formula, and its normalisation against torch's."""

import math
import warnings

import pytest
import torch
from torch import nn

from trainables.features import LogMel, instance_normalise


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def textbook(waveform, mels):
    """Log-mel energies frame by frame: reflect, window, DFT, triangles on the HTK mel scale."""
    padded = torch.cat([waveform[1:257].flip(0), waveform, waveform[-257:-1].flip(0)])
    n = torch.arange(400, dtype=torch.float64)
    window = torch.zeros(512, dtype=torch.float64)
    window[56:456] = 0.54 - 0.46 * torch.cos(2 * math.pi * n / 400)
    frames = torch.stack([padded[s : s + 512] * window for s in range(0, len(waveform) + 1, 160)])
    power = torch.fft.rfft(frames).abs() ** 2
    top = 2595 * math.log10(1 + 8000 / 700)
    edges = [700 * (10 ** (top * i / (mels + 1) / 2595) - 1) for i in range(mels + 2)]
    hertz = torch.linspace(0, 8000, 257, dtype=torch.float64)
    triangles = torch.stack(
        [
            torch.minimum((hertz - low) / (mid - low), (high - hertz) / (high - mid)).clamp(min=0)
            for low, mid, high in zip(edges, edges[1:], edges[2:], strict=False)
        ]
    )
    return (power @ triangles.T + 1e-6).log().T


@pytest.mark.parametrize("mels", [40, 64, 80])
def test_log_mel_is_the_textbook_formula(mels):
    """16 kHz, DFT of 512, Hamming window of 25 ms, hop of 10 ms, no pre-emphasis, log(power + 1e-6)."""
    waveforms = 0.1 * noise(2, 3000, dtype=torch.float64)
    expected = torch.stack([textbook(w, mels) for w in waveforms])
    # torchaudio builds its filters in float32.
    torch.testing.assert_close(LogMel(mels).double()(waveforms), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("samples", "frames"), [(32_240, 202), (64_240, 402), (257, 2)])
def test_frames_of_the_papers_crops(samples, frames):
    """The 2 s crop of the paper has 202 frames, the 4 s crop 402."""
    assert (3, 40, frames) == tuple(LogMel(40)(noise(3, samples)).shape)


@pytest.mark.parametrize("mels", [20, 24, 40, 64, 80])
def test_no_mel_filter_is_empty(mels):
    """A filter between two DFT bins would be a constant feature; torchaudio would warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        front_end = LogMel(mels)
    assert (front_end.mel_scale.fb.sum(dim=0) > 0).all()


def test_silence_is_the_floor():
    """log(1e-6) everywhere, not minus infinity."""
    assert math.log(1e-6) == pytest.approx(LogMel(40)(torch.zeros(1, 1600)).unique().item())


def test_autocast_does_not_round_the_features():
    """The same under bf16 autocast, bit for bit."""
    waveforms, front_end = noise(2, 4000), LogMel(40)
    expected = front_end(waveforms)
    with torch.autocast("cpu", torch.bfloat16):
        actual = front_end(waveforms)
    assert torch.equal(expected, actual)


def test_an_utterance_alone_has_the_features_it_has_in_a_batch():
    """No batch-wide maximum or mean enters."""
    waveforms, front_end = noise(3, 4000), LogMel(40)
    batch = instance_normalise(front_end(waveforms))
    for i in range(3):
        torch.testing.assert_close(instance_normalise(front_end(waveforms[i : i + 1]))[0], batch[i])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_instance_normalise_is_torchs(dtype):
    """Equal to `nn.InstanceNorm1d` without weights, an almost constant band included."""
    features = noise(3, 5, 50, dtype=dtype) * 4 - 7
    features[0, 0] = features[0, 0] * 1e-4
    torch.testing.assert_close(instance_normalise(features), nn.InstanceNorm1d(5)(features))


def test_wrong_inputs_are_named():
    """Integers, missing batch axis, crops shorter than the padding, single frames."""
    with pytest.raises(ValueError, match=r"floats of shape.*int16"):
        LogMel(40)(torch.zeros(1, 1000, dtype=torch.int16))
    with pytest.raises(ValueError, match=r"more than 256 samples.*\(1, 256\)"):
        LogMel(40)(torch.zeros(1, 256))
    with pytest.raises(ValueError, match=r"\(1000,\)"):
        LogMel(40)(torch.zeros(1000))
    with pytest.raises(ValueError, match=r"at least 2 frames.*\(2, 40, 1\)"):
        instance_normalise(torch.zeros(2, 40, 1))


def test_nothing_of_the_front_end_is_in_a_checkpoint():
    """Window and filters follow from the settings; they still move with the module."""
    front_end = LogMel(40)

    assert {} == dict(front_end.state_dict())
    assert torch.float64 == front_end.double().mel_scale.fb.dtype
