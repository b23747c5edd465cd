import subprocess
import sys

import numpy as np
import pytest
import soundfile

from trainables.corpora.corpus import CorpusError
from trainables.corpora.describe import MOST_OF_A_SPEAKER, Part, choose_rows, describe, open_whole
from trainables.corpora.description_text import description_text
from trainables.corpora.sources import open_roles, parse_source

RATE = 16000
VOICES = "synthetic?session=1&idio=0.5&seconds=1.5..2&seed=3"


def written(tmp_path, *, swapped=(), change=lambda samples: samples, extra=()):
    """A manifest of 6 synthetic speakers with 2 utterances, the genders of some of them swapped."""
    source = parse_source(f"{VOICES}&speakers=6&utterances=2&dev_speakers=0&test_speakers=0")
    rows = ["path,speaker,gender,age,recording,split"]
    for row in source.listing(number=0, sample_rate=RATE).table.to_pylist():
        name = f"{row['utterance']}.wav"
        samples = source.waveform(path=None, index=row["index"], sample_rate=RATE)
        soundfile.write(tmp_path / name, change(samples), RATE, subtype="PCM_16")
        gender = {"F": "M", "M": "F"}[row["gender"]] if row["speaker"][-4:] in swapped else row["gender"]
        rows.append(f"{name},{row['speaker']},{gender},{row['age']},{row['recording']},train")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join([*rows, *extra]) + "\n")
    return str(manifest)


def test_counts_tables_and_spreads_are_those_of_the_corpus():
    """Of a role of a study: parts, ages, durations, as its table has them."""
    corpus = open_roles({"train": [f"{VOICES}&speakers=10&utterances=2..3&dev_speakers=2"]}, sample_rate=RATE).train
    described = describe(corpus)
    rows = corpus.table.to_pylist()
    hours = sum(row["num_samples"] for row in rows) / RATE / 3600
    assert described.total == Part("all", 10, len(rows), pytest.approx(hours))
    assert [part.name for part in described.partitions] == ["train"]
    assert [(part.name, part.speakers) for part in described.genders] == [("F", 5), ("M", 5)]
    ages = {row["speaker"]: (f"{int(row['age'] // 10 * 10)}s", row["gender"]) for row in rows}
    expected = {}
    for decade, gender in ages.values():
        expected.setdefault(decade, [0, 0, 0])[gender == "M"] += 1
    assert dict(described.ages) == {decade: tuple(counts) for decade, counts in expected.items()}
    seconds = [row["num_samples"] / RATE for row in rows]
    spread = described.durations_s
    assert (spread.lowest, spread.median, spread.highest) == pytest.approx(np.quantile(seconds, [0, 0.5, 1]).tolist())
    assert described.recordings == len(rows)
    assert described.sound.utterances == len(rows)
    assert described.sound.levels_dbfs.median == pytest.approx(20 * np.log10(0.06), abs=0.1)


def test_swapped_labels_are_suspects_and_others_are_not(tmp_path):
    """Two speakers under the other's gender: both are named, nobody else."""
    described = describe(open_whole(written(tmp_path, swapped=("0002", "0003")), sample_rate=RATE))
    assert {each.speaker[-4:]: each.gender for each in described.sound.suspects} == {"0002": "M", "0003": "F"}
    assert all(each.utterances == 2 for each in described.sound.suspects)
    text = description_text(described)
    for suspect in described.sound.suspects:
        assert f"{suspect.speaker}: labelled {suspect.gender}, {suspect.f0_hz:.0f} Hz in 2 utterances" in text
    assert "  and 1 more" in description_text(described, most_named=1)


def test_clipping_level_and_silence_of_files(tmp_path):
    """Files made four times as loud, clipped and then halved, with a second of silence behind them."""

    def spoilt(samples):
        loud = np.clip(samples.astype(int) * 8, -32768, 32767) // 2
        return np.concatenate([loud, np.zeros(RATE)]).astype(np.int16)

    clean, spoilt_ones = tmp_path / "clean", tmp_path / "spoilt"
    clean.mkdir()
    spoilt_ones.mkdir()
    sounds = [
        describe(open_whole(written(folder, change=change), sample_rate=RATE)).sound
        for folder, change in ((clean, lambda samples: samples), (spoilt_ones, spoilt))
    ]
    assert (sounds[0].clipped_utterances, sounds[1].clipped_utterances) == (0, 12)
    assert sounds[1].clipped_share > 0.001
    assert sounds[1].silent_share > sounds[0].silent_share + 0.25
    assert sounds[1].levels_dbfs.median > sounds[0].levels_dbfs.median + 3


def test_rejected_rows_torn_speakers_and_missing_labels_are_told(tmp_path):
    """A file that is not there, a speaker with two genders, one without any, no ages."""
    name = "synthetic3-train-0000"
    for seed in (1, 2):
        noise = np.random.default_rng(seed).integers(-900, 900, size=RATE).astype(np.int16)
        soundfile.write(tmp_path / f"noise{seed}.wav", noise, RATE)
    extra = (f"gone.wav,{name},F,,,train", "noise1.wav,nobody,,,,dev", f"noise2.wav,{name},M,,,dev")
    described = describe(open_whole(written(tmp_path, extra=extra), sample_rate=RATE))
    assert described.rejected == 1
    assert described.torn == (name,)
    assert [(part.name, part.speakers) for part in described.genders] == [("F", 3), ("M", 3), ("unknown", 1)]
    assert dict(described.ages)["unknown"] == (0, 0, 1)
    assert [(part.name, part.utterances) for part in described.partitions] == [("train", 12), ("dev", 2)]
    text = description_text(described)
    assert f"speakers with more than one gender: {name}" in text
    assert "rejected: 1" in text


def test_a_large_corpus_is_sampled_over_its_speakers():
    """As many of each speaker; of a few speakers no more than the sample; the same every time."""
    speaker_N = np.array([k % 50 for k in range(1000)] + [50])
    rows = choose_rows(speaker_N, sample=200, seed=0)
    assert sorted(np.bincount(speaker_N[rows]).tolist()) == [1] + [3] * 50
    assert rows.tolist() == sorted(set(rows.tolist())) == choose_rows(speaker_N, sample=200, seed=0).tolist()
    assert len(choose_rows(speaker_N, sample=20, seed=0)) == 20
    assert len(choose_rows(np.zeros(100, dtype=int), sample=1000, seed=0)) == MOST_OF_A_SPEAKER
    assert len(choose_rows(np.zeros(0, dtype=int), sample=10, seed=0)) == 0


def test_an_unknown_source_is_a_mistake():
    """The forms there are."""
    with pytest.raises(CorpusError, match="no such source"):
        open_whole("nowhere", sample_rate=RATE)


def test_describing_needs_no_torch():
    """At the corpus's own rate."""
    code = (
        "import sys; from trainables.corpora.describe import describe, open_whole; "
        "from trainables.corpora.description_text import description_text; "
        "description_text(describe(open_whole('synthetic?speakers=2&utterances=2', sample_rate=16000), sample=4)); "
        "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
