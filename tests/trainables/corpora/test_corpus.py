import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from trainables.corpora.corpus import AudioCache, CorpusError, Row, build_corpus, crop, table_of
from trainables.corpora.sources import open_roles

SMALL = "synthetic?speakers=4&dev_speakers=2&utterances=2&dev_utterances=2&seconds=0.5..0.7"


@pytest.fixture
def opened(write_manifest, records):
    """A corpus of files: train of 6 speakers, dev of 2."""
    rows = records(6, 2, split="train") + records(2, 2, prefix="dev", split="dev")
    manifest = write_manifest(rows)
    return manifest, open_roles({"train": [str(manifest)]}, sample_rate=16000)


def test_waveforms_are_those_of_the_files(opened):
    """Rows are in the order of their names, and each has the samples of its file, as many as the table says."""
    manifest, splits = opened
    cache = AudioCache(splits.train)
    table = splits.train.table.to_pylist()
    assert [row["utterance"] for row in table] == sorted(row["utterance"] for row in table)
    for i, row in enumerate(table):
        expected, _ = soundfile.read(manifest.parent / row["path"], dtype="int16")
        np.testing.assert_array_equal(cache.waveform(i), expected)
        assert row["num_samples"] == len(expected)


def test_the_cache_keeps_no_more_than_it_may(opened):
    """Three of twelve waveforms fit; what does not fit is decoded again and equal."""
    _, splits = opened
    cache = AudioCache(splits.train, max_bytes=3 * 16000)
    first = [cache.waveform(i).copy() for i in range(12)]
    assert cache.used_bytes == 3 * 16000
    for i in range(12):
        np.testing.assert_array_equal(cache.waveform(i), first[i])


def test_a_pickled_corpus_is_the_same_and_small(opened):
    """It goes to workers without its audio."""
    for corpus in (opened[1].train, open_roles({"train": [SMALL]}, sample_rate=16000).train):
        content = pickle.dumps(corpus)
        copy = pickle.loads(content)
        assert len(content) < 20_000
        assert copy.table.equals(corpus.table)
        np.testing.assert_array_equal(AudioCache(copy).waveform(1), AudioCache(corpus).waveform(1))


def test_a_file_that_vanishes_or_changes_is_named(opened):
    """After the check too, no file is skipped silently."""
    manifest, splits = opened
    paths = splits.train.table["path"].to_pylist()
    cache = AudioCache(splits.train)
    (manifest.parent / paths[0]).unlink()
    soundfile.write(manifest.parent / paths[1], np.zeros(9000), 16000)
    (manifest.parent / paths[2]).write_text("gone")
    with pytest.raises(CorpusError, match=rf"row 1: .*{paths[0]}: no such file any more"):
        cache.waveform(0)
    with pytest.raises(CorpusError, match=rf"{paths[1]}: changed since the corpus was opened: 9000 samples, 8000 then"):
        cache.waveform(1)
    with pytest.raises(CorpusError, match=rf"{paths[2]}: Format not recognised; it was sound"):
        cache.waveform(2)


def test_the_fingerprint_goes_with_content_and_not_with_place(opened, write_manifest, records):
    """Another folder and another order of rows keep it; other samples, speakers, genders or rates change it."""
    manifest, splits = opened
    moved = manifest.parent.parent / "moved"
    shutil.copytree(manifest.parent, moved)
    header, *lines = (moved / "manifest.csv").read_text().split()
    (moved / "manifest.csv").write_text("\n".join([header, *reversed(lines)]))

    def fingerprint(sample_rate=16000):
        return open_roles({"train": [str(moved / "manifest.csv")]}, sample_rate=sample_rate).fingerprint

    assert fingerprint() == splits.fingerprint
    found = {splits.fingerprint, fingerprint(sample_rate=8000)}
    (moved / "manifest.csv").write_text("\n".join([header, *lines]).replace("wav,speaker005", "wav,speaker004"))
    found.add(fingerprint())
    (moved / "manifest.csv").write_text("\n".join([header + ",gender", *(f"{line},F" for line in lines)]))
    found.add(fingerprint())
    (moved / "manifest.csv").write_text("\n".join([header, *lines]))
    soundfile.write(moved / "speaker000/0.wav", np.zeros(8000), 16000)
    found.add(fingerprint())
    assert len(found) == 5


def test_select_takes_rows_by_mask_or_number(opened):
    """Both ways give the same corpus, with a fingerprint of its own."""
    corpus = opened[1].train
    mask = np.arange(len(corpus)) % 3 == 1
    chosen = corpus.select(mask)
    names = corpus.table["utterance"].to_pylist()
    assert chosen.table["utterance"].to_pylist() == names[1::3]
    assert corpus.select([1, 4, 7, 10]).fingerprint == chosen.fingerprint != corpus.fingerprint
    np.testing.assert_array_equal(AudioCache(chosen).waveform(1), AudioCache(corpus).waveform(4))
    with pytest.raises(ValueError, match="a mask needs one value a row, but got 3 for 12 rows"):
        corpus.select(np.array([True, False, True]))


def test_a_large_corpus_opens_in_little_memory():
    """Columns, and no object a row: at most 1.3 kB for each of 250,000 utterances, all that opening takes included."""
    code = (
        "import resource, sys; from trainables.corpora.sources import open_roles; "
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak(); "
        "splits = open_roles({'train': ['synthetic?speakers=2500&utterances=100']}, sample_rate=16000); "
        "print(len(splits.train), peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    rows, kibibytes = map(int, done.stdout.split())

    assert 250_000 == rows
    assert kibibytes * 1024 < 1300 * rows


def test_names_of_two_sources_are_told_apart():
    """Those that both use get the number of their source before them, others stay."""
    rows = [
        Row(source=source, index=i, utterance=name, speaker="s", num_samples=1)
        for source, names in ((0, "ab"), (1, "bc"), (2, "d"))
        for i, name in enumerate(names)
    ]
    made = build_corpus(table_of(rows[::-1]), sources=(), sample_rate=16000)

    assert ["0:b", "1:b", "a", "c", "d"] == made.table["utterance"].to_pylist()
    assert [0, 1, 0, 1, 2] == made.table["source"].to_pylist()


def test_crop_starts_at_a_fraction_of_the_room_and_repeats_what_is_short():
    """0 is the beginning, 1 the end; a waveform of 3 samples fills 8 by going round."""
    waveform = np.arange(10, dtype=np.int16)
    assert crop(waveform, 0.0, 4).tolist() == [0, 1, 2, 3]
    assert crop(waveform, 0.5, 4).tolist() == [3, 4, 5, 6]
    assert crop(waveform, 1.0, 4).tolist() == [6, 7, 8, 9]
    assert crop(waveform, 0.7, 10).tolist() == waveform.tolist()
    assert crop(waveform[:3], 0.7, 8).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
