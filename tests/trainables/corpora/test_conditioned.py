"""A source under a condition: the same rows, heard after what befell them, in any subset alike."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from trainables.corpora.conditioned import ConditionedSource, take_condition
from trainables.corpora.conditions import CLEAN, TELEPHONE, parse_condition
from trainables.corpora.corpus import AudioCache, CorpusError, build_corpus
from trainables.corpora.examination import examine
from trainables.corpora.found import Found
from trainables.corpora.packing import pack
from trainables.corpora.sources import parse_source
from trainables.corpora.splits import split_of

VOICES = "synthetic?utterances=2&dev_speakers=3&dev_utterances=2&test_speakers=0&seconds=0.5..0.8&speakers="


def conditioned(text, condition):
    return ConditionedSource(text=f"{text} under {condition.name}", inner=parse_source(text), condition=condition)


def second_voices(source, index):
    crowd = source._crowd(16000)
    return [other for _, other in crowd.others(crowd.place_of(index), np.random.default_rng(index))]


def opened(source, wheres=(), sample_rate=16000):
    listing = source.listing(number=0, sample_rate=sample_rate, wheres=wheres)
    table, is_sound_N, _, _ = examine(
        listing.table, sources=(source,), sample_rate=sample_rate, min_s=0.1, progress=None
    )
    own = {} if listing.fingerprint is None else {0: listing.fingerprint}
    return build_corpus(table.filter(is_sound_N), sources=(source,), sample_rate=sample_rate, fingerprints=own)


def waveforms(corpus):
    audio = AudioCache(corpus)
    return {name: audio.waveform(i) for i, name in enumerate(corpus.table["utterance"].to_pylist())}


@pytest.mark.parametrize("rate", [8000, 16000])
def test_an_utterance_is_the_same_in_any_subset_and_in_any_process(rate):
    """Filters, order and what was read before change no sample; a second voice over each is the same elsewhere too."""
    source, crowded = (conditioned(f"{VOICES}4", replace(TELEPHONE, second=second)) for second in (0, 1))
    whole = waveforms(opened(source, sample_rate=rate))
    women = waveforms(opened(source, wheres=[{"gender": "F"}], sample_rate=rate))

    assert 0 < len(women) < len(whole)
    for name, samples in women.items():
        np.testing.assert_array_equal(whole[name], samples)
    corpus = opened(crowded, wheres=[{"gender": "F"}], sample_rate=rate)
    alone = pickle.loads(pickle.dumps(corpus)).select([2])
    np.testing.assert_array_equal(waveforms(corpus)[alone.table["utterance"][0].as_py()], waveforms(alone).popitem()[1])


def test_the_condition_is_heard_and_in_the_fingerprint():
    """Samples and fingerprint change with every option; names and lengths do not."""
    plain = opened(parse_source(f"{VOICES}3"))
    prints = {plain.fingerprint}
    texts = ["clean?noise=10", "clean?noise=11", "telephone", "telephone?room=0", "telephone?seed=1", "clean?second=1"]
    for text in texts:
        other = opened(conditioned(f"{VOICES}3", parse_condition(text)))
        prints.add(other.fingerprint)

        assert plain.table == other.table
        assert any((a != b).any() for a, b in zip(waveforms(plain).values(), waveforms(other).values(), strict=True))
    assert 1 + len(texts) == len(prints)
    assert plain.fingerprint == opened(conditioned(f"{VOICES}3", CLEAN)).fingerprint


def test_wrong_labels_change_the_labels_alone():
    """Not a sample; filters ask for the right labels; the note tells how many."""
    source = conditioned(f"{VOICES}6", replace(CLEAN, wrong=1))
    plain, wrong = opened(parse_source(f"{VOICES}6")), opened(source)
    is_train = np.array(plain.table["split"].to_pylist()) == "train"

    flipped = np.array(plain.table["gender"].to_pylist()) != np.array(wrong.table["gender"].to_pylist())
    np.testing.assert_array_equal(is_train, flipped)
    assert plain.fingerprint != wrong.fingerprint
    for a, b in zip(waveforms(plain).values(), waveforms(wrong).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    filtered = source.listing(number=0, sample_rate=16000, wheres=[{"gender": "F"}])
    assert {"M", "F"} == set(filtered.table["gender"].to_pylist())  # train flipped, dev as it was
    assert "gender of 3 of 3 and age of 3 of 3 speakers" in filtered.notes[-1]


def test_a_second_voice_is_another_speaker_of_the_same_partition():
    """Train counts as three, since a dev set may be split off it by the hash of its speakers; nearly all are chosen."""
    source = conditioned(f"{VOICES}40", replace(CLEAN, second=1))
    table = source.inner.listing(number=0, sample_rate=16000).table.to_pylist()
    speaker_of = {row["index"]: row["speaker"] for row in table}
    part_of = {
        row["index"]: row["split"] if row["split"] != "train" else split_of(row["speaker"]) + " of train"
        for row in table
    }
    chosen = set()
    for row in table:
        others = second_voices(source, row["index"])
        chosen.update(others)

        assert all(speaker_of[index] != row["speaker"] for index in others)
        assert {part_of[row["index"]]} == {part_of[index] for index in others}
    assert len(chosen) > 0.9 * len(table)


def test_no_voice_of_an_official_test_is_heard_elsewhere(write_manifest, records):
    """A hashed part with one speaker draws from the other parts of train; an official one of one speaker has none."""
    names = [f"s{i}" for i in range(200)]
    one_dev = next(name for name in names if split_of(name) == "dev")
    trained = [name for name in names if split_of(name) == "train"][:2]
    speakers = {one_dev: "train", trained[0]: "train", trained[1]: "train", "t0": "test", "t1": "test", "d0": "dev"}
    rows = [
        {**row, "speaker": name, "split": speakers[name]} for row, name in zip(records(6, 1), speakers, strict=True)
    ]
    source = conditioned(str(write_manifest(rows)), replace(CLEAN, second=1))
    table = source.listing(number=0, sample_rate=16000).table.to_pylist()
    heard = {row["speaker"]: {table[i]["speaker"] for i in second_voices(source, row["index"])} for row in table}

    assert set(trained) == heard[one_dev]
    assert ({"t1"}, {"t0"}, set()) == (heard["t0"], heard["t1"], heard["d0"])
    corpus = opened(source)
    place = corpus.table["speaker"].to_pylist().index("d0")
    plain = opened(source.inner)
    np.testing.assert_array_equal(AudioCache(plain).waveform(place), AudioCache(corpus).waveform(place))


def test_second_voices_are_of_the_rows_that_a_role_lists(write_manifest, records):
    """Roles that share a source by filters share no voice, in any process; what may be heard is in the fingerprint."""
    path = str(write_manifest([{**row, "site": "ab"[i // 10]} for i, row in enumerate(records(10, 2))]))
    sources = {site: conditioned(path, replace(CLEAN, second=1)) for site in "ab"}
    prints = {opened(source, wheres=[{"site": site}]).fingerprint for site, source in sources.items()}
    for site, source in sources.items():
        elsewhere = pickle.loads(pickle.dumps(source))
        rows = range(10) if site == "a" else range(10, 20)
        voices = {i for row in rows for i in second_voices(elsewhere, row)}

        assert voices
        assert voices <= set(rows)
    marks = []
    for sites in ("a", "ab"):
        opened(sources["a"], wheres=[{"site": list(sites)}])
        marks.append(sources["a"]._digest("a content", 16000))
    assert 2 == len(prints) == len(set(marks))
    row = sources["a"].inner.listing(number=0, sample_rate=16000).table.to_pylist()[0]
    with pytest.raises(CorpusError, match="not among those that were listed last"):
        elsewhere.waveform(path=row["path"], index=0, sample_rate=16000)


def test_a_manifest_and_its_packed_copy_are_heard_alike(write_manifest, records, tmp_path):
    """By their names, whatever number a row has: also when another file came before it."""
    rows = [{**row, "speaker": f"s{i // 2}"} for i, row in enumerate(records(4, 2))]
    path = write_manifest(rows, folder="speech")
    found = [
        Found(utterance=row["path"], path=str(path.parent / row["path"]), speaker=row["speaker"], source="x")
        for row in rows
    ]
    pack(found, str(tmp_path / "packed"), kind="manifest", sample_rate=16000, folder=path.parent)
    pack(found[3:], str(tmp_path / "some"), kind="manifest", sample_rate=16000, folder=path.parent)
    written = waveforms(opened(conditioned(str(path), replace(TELEPHONE, second=1))))
    packed = waveforms(opened(conditioned(str(tmp_path / "packed"), replace(TELEPHONE, second=1))))
    whole, some = (
        waveforms(opened(conditioned(str(tmp_path / name), replace(TELEPHONE, second=0))))
        for name in ("packed", "some")
    )

    assert written.keys() == packed.keys() > some.keys()
    for name, samples in written.items():
        np.testing.assert_array_equal(samples, packed[name])
    for name, samples in some.items():
        np.testing.assert_array_equal(whole[name], samples)


def test_a_manifest_is_keyed_by_its_paths(write_manifest, records):
    """Rows in another order, and other rows before them, leave what befalls a file as it was."""
    rows = records(3, 2)
    first = write_manifest(rows, folder="one")
    second = write_manifest([{"path": "extra.wav", "speaker": "x"}, *reversed(rows)], folder="one", name="other.csv")
    condition = replace(TELEPHONE, second=0)
    before, after = (waveforms(opened(conditioned(str(path), condition))) for path in (first, second))

    for name, samples in before.items():
        np.testing.assert_array_equal(after[name], samples)


def test_a_packed_corpus_of_8_khz_is_taken_at_its_rate(tmp_path):
    """Its fingerprint is marked by the condition, its samples by what befalls them, with a second voice too."""
    inner = parse_source(f"{VOICES}4")
    listing = inner.listing(number=0, sample_rate=8000)
    found = []
    for row in listing.table.to_pylist():
        path = tmp_path / "audio" / f"{row['utterance']}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, inner.waveform(path=None, index=row["index"], sample_rate=8000), 8000)
        found.append(
            Found(utterance=row["utterance"], path=str(path), speaker=row["speaker"], source="x", split=row["split"])
        )
    pack(found, str(tmp_path / "packed"), kind="manifest", sample_rate=8000, folder=tmp_path / "audio")
    packed = parse_source(str(tmp_path / "packed"))
    source = ConditionedSource(text="packed", inner=packed, condition=replace(TELEPHONE, second=1))
    plain, heard = opened(packed, sample_rate=8000), opened(source, sample_rate=8000)

    assert plain.fingerprint != heard.fingerprint == opened(source, sample_rate=8000).fingerprint
    assert all((a != b).any() for a, b in zip(waveforms(plain).values(), waveforms(heard).values(), strict=True))


def test_rejected_rows_carry_the_name_of_the_conditioned_source(write_manifest):
    path = write_manifest([{"path": "a.wav", "speaker": "a"}, {"path": "b.wav", "speaker": ""}])
    source = conditioned(str(path), replace(CLEAN, noise=(5.0, 5.0)))

    assert [source.text] == [bad.source for bad in source.listing(number=0, sample_rate=16000).rejected]


def test_a_second_voice_that_cannot_be_read_gives_way_to_another(write_manifest, records):
    """A broken file is rejected when the corpus is opened; as a second voice it is passed over."""
    rows = records(4, 1)
    path = write_manifest(rows)
    (path.parent / rows[3]["path"]).write_bytes(b"no audio")
    source = conditioned(str(path), replace(CLEAN, second=1))
    corpus = opened(source)

    assert 3 == len(waveforms(corpus))


def test_one_speaker_has_no_second_voice(write_manifest, records):
    source = conditioned(str(write_manifest(records(1, 3))), replace(CLEAN, second=0.1))
    with pytest.raises(CorpusError, match=r"a second voice needs 2 speakers"):
        source.listing(number=0, sample_rate=16000)


def test_a_condition_is_taken_out_of_a_sources_text():
    text = "synthetic?speakers=9&condition=telephone?room=0.3,wrong=0.02&seed=1"

    assert ("synthetic?speakers=9&seed=1", replace(TELEPHONE, room=0.3, wrong=0.02)) == take_condition(text)
    assert ("synthetic", TELEPHONE) == take_condition("synthetic?condition=telephone")
    assert ("corpus.csv", CLEAN) == take_condition("corpus.csv")
    assert ("synthetic?seed=1", CLEAN) == take_condition("synthetic?seed=1")
    with pytest.raises(CorpusError, match="is there 2 times"):
        take_condition("synthetic?condition=clean&condition=telephone")
    with pytest.raises(CorpusError, match=r"condition: telephone\?rom=1: no option 'rom'"):
        take_condition("synthetic?condition=telephone?rom=1")
