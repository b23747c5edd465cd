import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora import cells
from trainables.corpora.corpus import CorpusError, rows_of
from trainables.corpora.manifest import ManifestSource
from trainables.corpora.sources import open_roles, parse_source

VOICES = "synthetic?dev_speakers=2&test_speakers=2"


def listing(path):
    return parse_source(str(path)).listing(number=0, sample_rate=16000)


def faulty_corpus(speakers, write_manifest, records):
    """Four sound rows a speaker, then 8 bad ones: the manifest, and each bad row's path and beginning of reason."""
    rows = records(speakers, 4)
    root = write_manifest(rows).parent
    noise_T = 0.1 * np.random.default_rng(0).standard_normal(16000)
    for name in ("cut.flac", "cut.wav"):
        soundfile.write(root / name, noise_T, 16000)
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: len(content) // 2])
    (root / "zero.wav").write_bytes(b"")
    (root / "text.wav").write_text("this is a transcript\n" * 20)
    soundfile.write(root / "one.wav", noise_T[:1], 16000)
    soundfile.write(root / "nan.wav", np.where(np.arange(16000) == 9000, np.nan, noise_T), 16000, subtype="FLOAT")
    bad = [
        ("cut.flac", "not readable as audio"),
        ("zero.wav", "empty file (0 bytes)"),
        ("text.wav", "not readable as audio: Format not recognised"),
        ("missing.wav", "no such file"),
        ("one.wav", "too short: 1 samples"),
        ("nan.wav", "holds NaN or infinite samples"),
        ("cut.wav", "truncated: its header tells 32000 bytes of samples"),
        ("speaker000/0.wav", "the same path as row 1"),
    ]
    rows += [{"path": path, "speaker": "speaker001"} for path, _ in bad]
    return write_manifest(rows, audio=False), dict(enumerate(bad, start=4 * speakers + 1))


def test_each_bad_file_is_named_and_the_rest_goes_on(write_manifest, records):
    """Every kind of bad file is rejected with its row, path and reason; all sound rows are kept."""
    manifest, bad = faulty_corpus(25, write_manifest, records)
    splits = open_roles({"train": [str(manifest)], "dev": [VOICES], "test": [VOICES]}, sample_rate=16000)
    found = {one.row: (one.path, one.reason) for one in splits.rejected}
    assert sorted(found) == sorted(bad)
    for row, (path, reason) in bad.items():
        assert found[row][0] == path
        assert found[row][1].startswith(reason)
    assert len(splits.train) == 100
    assert splits.train.rejected == splits.rejected
    assert splits.dev.rejected == ()


def test_more_than_a_tenth_bad_is_an_error(write_manifest, records):
    """The error tells how many of how many and names the first."""
    manifest, _ = faulty_corpus(15, write_manifest, records)
    with pytest.raises(CorpusError) as error:
        open_roles({"train": [str(manifest)], "dev": [VOICES], "test": [VOICES]}, sample_rate=16000)
    assert "8 of 68 rows are bad, more than a tenth: row 61 (cut.flac): not readable as audio" in str(error.value)
    assert "row 64 (missing.wav): no such file; row 65 (one.wav)" in str(error.value)
    assert str(error.value).endswith("; and 3 more")


def test_a_missing_column_is_named_with_the_nearest(write_manifest):
    """`speakr` is pointed at, and `path` is not complained of."""
    manifest = write_manifest([{"path": "a.wav", "speakr": "one"}])
    with pytest.raises(CorpusError) as error:
        listing(manifest)
    assert error.value.problems == (
        f"{manifest}: no column 'speaker'; columns: 'path', 'speakr'; did you mean 'speakr'?",
    )


def test_cells_are_read_as_text(write_manifest):
    """Speaker 007 stays 007; spellings of gender are one; what is no number is no age; both are told."""
    genders = ["F", "female", "여", "m", "MALE", "남", "diverse", ""]
    ages = ["20", "35.5", "", "x", "-1", "nan", "60", "61"]
    manifest = write_manifest(
        [
            {"path": f"{i}.wav", "speaker": "007", "gender": gender, "age": age, "mood": "calm"}
            for i, (gender, age) in enumerate(zip(genders, ages, strict=True))
        ]
    )
    found = listing(manifest)
    assert set(found.table["speaker"].to_pylist()) == {"007"}
    assert found.table["gender"].to_pylist() == ["F", "F", "F", "M", "M", "M", None, None]
    assert found.table["age"].to_pylist() == [20.0, 35.5, None, None, None, None, 60.0, 61.0]
    assert found.notes == (
        f"{manifest}: gender not understood and left empty in 1 of its rows, the first 'diverse'",
        f"{manifest}: age not understood and left empty in 3 of its rows, the first 'x'",
    )


def test_rows_that_say_too_little_are_rejected(tmp_path):
    """No speaker, no path, too many cells, an unknown split, no split where others have one; blank lines count."""
    lines = ["path,speaker,split", "a.wav,one,train", "b.wav,,train", "", ",one,dev"]
    lines += ["c.wav,one,dev,x", "d.wav,one,fit", "e.wav,one"]
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    found = listing(tmp_path / "m.csv")
    assert found.table["path"].to_pylist() == ["a.wav"]
    assert [(one.row, one.reason) for one in found.rejected] == [
        (2, "no speaker"),
        (4, "no path"),
        (5, "4 cells, but the header names 3 columns"),
        (6, "split 'fit' is none of train, dev, test"),
        (7, "no split, where other rows have one"),
    ]
    assert lines[found.rejected[3].row].startswith("d.wav")


def test_parquet_reads_as_csv_does(tmp_path):
    """Numbers and nulls of Parquet give the same rows as their text in CSV."""
    columns = {"path": ["a.wav", "b.wav"], "speaker": [7, 8], "gender": ["F", None], "age": [31, None]}
    parquet.write_table(pa.table(columns), tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_text("path,speaker,gender,age\na.wav,7,F,31\nb.wav,8,,\n")
    assert listing(tmp_path / "m.parquet") == listing(tmp_path / "m.csv")


def test_arrow_reads_as_parquet_does(tmp_path):
    """Types and nulls too."""
    table = pa.table({"path": ["a.wav", "b.wav"], "speaker": [7, 8], "gender": ["F", None], "age": [31.5, None]})
    parquet.write_table(table, tmp_path / "m.parquet")
    with pa.OSFile(str(tmp_path / "m.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)

    assert listing(tmp_path / "m.parquet") == listing(tmp_path / "m.arrow")
    (tmp_path / "m.arrow").write_text("path,speaker\n")
    with pytest.raises(CorpusError, match="not readable as Arrow"):
        listing(tmp_path / "m.arrow")


@given(paths=st.lists(st.text(st.sampled_from("/.~ab"), min_size=1, max_size=7), max_size=20))
def test_one_file_is_found_under_all_its_paths(paths):
    """Rows of a file that another row has are told apart from the others, however their paths are written."""
    source = ManifestSource(text="m.csv", file="/folder/of/m.csv")

    assert [source.locate(path) for path in paths] == source._places(pa.array(paths, pa.string())).to_pylist()


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 1000])
def test_a_manifest_is_the_same_read_in_any_pieces(tmp_path, monkeypatch, rows_at_once):
    """Numbers of rows, doubles and splits go over the borders of pieces."""
    lines = ["path,speaker,split", "a.wav,one,", "", "b.wav,one,dev,x", "./a.wav,two,train", "c.wav,one,test"]
    (tmp_path / "m.csv").write_text("\n".join([*lines, "c.wav,one,test", "d.wav,,test", "d.wav,two,train", "a.wav,,"]))
    monkeypatch.setattr(cells, "ROWS_AT_ONCE", rows_at_once)
    found = listing(tmp_path / "m.csv")

    assert [("./a.wav", 3), ("c.wav", 4), ("d.wav", 7)] == [(row.path, row.index) for row in rows_of(found.table)]
    assert [
        (1, "no split, where other rows have one"),
        (3, "4 cells, but the header names 3 columns"),
        (6, "the same path as row 5"),
        (7, "no speaker"),
        (9, "no speaker"),
    ] == [(one.row, one.reason) for one in found.rejected]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no column 'path'; columns: none"),
        (b"path,speaker\n", "a manifest needs rows, but it holds its header alone"),
        (b"path,speaker\n\xff\xfe,b\n", "a .csv manifest is UTF-8 text with commas"),
        (b"path,speaker,speaker\na,b,c\n", "column 'speaker' is there 2 times"),
        (b"path;speaker\na;b\n", "no column 'path'; columns: 'path;speaker'"),
    ],
)
def test_a_broken_manifest_is_an_error(tmp_path, content, problem):
    """Each gets one sentence with the manifest's name."""
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(CorpusError) as error:
        listing(tmp_path / "m.csv")
    assert error.value.problems[0].startswith(f"{tmp_path / 'm.csv'}: {problem}")


def test_a_broken_parquet_manifest_is_an_error(tmp_path):
    """Text named .parquet is told as such."""
    (tmp_path / "m.parquet").write_text("path,speaker\n")
    with pytest.raises(CorpusError, match="not readable as Parquet"):
        listing(tmp_path / "m.parquet")


def test_a_file_shorter_than_the_manifest_says_is_rejected(write_manifest):
    """Half a second where four are promised; rounding is forgiven."""
    manifest = write_manifest(
        [
            {"path": "a.wav", "speaker": "a", "duration_s": "4.0"},
            {"path": "b.wav", "speaker": "a", "duration_s": "1"},
        ]
    )
    source = parse_source(str(manifest))
    promised, rounded = (
        source.examine(row, sample_rate=16000, min_s=0.4)
        for row in rows_of(source.listing(number=0, sample_rate=16000).table)
    )
    assert promised == "cut short: duration_s says 4 s, the file holds 0.5 s"
    assert rounded.num_samples == 8000
