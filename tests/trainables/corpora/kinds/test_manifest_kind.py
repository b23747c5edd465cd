import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import UNKNOWN_AGE, Age, Faulty, Found, Note
from trainables.corpora.kinds.catalogue import KINDS


def read(place):
    return list(KINDS["manifest"].read(place, options={}))


def test_a_manifest_is_named_or_its_folder(sound_trees):
    """Both are the same corpus."""
    tree = sound_trees("manifest")

    assert read(tree.folder) == read(tree.folder / "manifest.csv")


def test_rows_with_faults_are_told(tmp_path):
    """By sort, with the row; the sound ones are read."""
    lines = [
        "path,speaker,gender,age,split,source,birth,recorded",
        "a.wav,one,F,27,train,mine,,",
        "b.wav,,F,27,train,,,",
        ",one,F,27,train,,,",
        "c.wav,one,F,27,fit,,,",
        "d.wav,one,F,27,,,,",
        "a.wav,one,F,27,train,,,",
        "e.wav,one,F,27,train,,,,x",
        "f.wav,two,?,10대,dev,,,",
        "g.wav,two,?,70대,dev,,,",
        "h.wav,two,남,20-39,dev,,,",
        "i.wav,two,M,,dev,,1990-05-05,2021-01-01",
        "j.wav,two,M,,dev,,,",
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    findings = read(tmp_path)
    ages = {each.utterance: each.age for each in findings if isinstance(each, Found)}

    assert [(each.path.rpartition("/")[2], each.reason) for each in findings if isinstance(each, Faulty)] == [
        ("rows.csv", "no speaker: row 2"),
        ("rows.csv", "no path: row 3"),
        ("c.wav", "split is none of train, dev, test: 'fit', row 4"),
        ("d.wav", "no split, where other rows have one: row 5"),
        ("a.wav", "the same path as another row: row 6, row 1 is read"),
        ("rows.csv", "row cannot be read: row 7: 9 cells, but the header names 8 columns"),
        ("f.wav", "under 20: '10대', which has no age class"),
    ]
    assert [(each.path.rpartition("/")[2], each.sort) for each in findings if isinstance(each, Note)] == [
        ("f.wav", "gender not understood"),
        ("g.wav", "gender not understood"),
        ("g.wav", "70 or over, in class 60"),
        ("h.wav", "age spans two classes"),
        ("j.wav", "no age"),
    ]
    assert ages == {
        "a.wav": Age(27.0, "20-30", "20s"),
        "g.wav": Age(None, "60", "60s"),
        "h.wav": UNKNOWN_AGE,
        "i.wav": Age(30.0, "20-30", "30s"),
        "j.wav": UNKNOWN_AGE,
    }
    assert [each.source for each in findings if isinstance(each, Found)] == ["mine", *["rows"] * 4]


def test_parquet_reads_as_csv_does(tmp_path):
    """Numbers too."""
    columns = {"path": ["a.wav", "b.wav"], "speaker": [7, 8], "gender": ["F", None], "age": [31, None]}
    parquet.write_table(pa.table(columns), tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_text("path,speaker,gender,age\na.wav,7,F,31\nb.wav,8,,\n")

    assert read(tmp_path / "m.parquet") == read(tmp_path / "m.csv")


def test_without_ages_nothing_is_noted(tmp_path):
    """Nobody asked."""
    (tmp_path / "m.csv").write_text("path,speaker\na.wav,one\n")

    assert [type(each) for each in read(tmp_path)] == [Found]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.csv": "path,speaker\n", "b.csv": "path,speaker\n"}, "it holds a.csv, b.csv; name the one"),
        ({"a.csv": "path;speaker\n"}, "no column 'path'"),
        ({"a.csv": "path,speaker\n"}, "a manifest needs rows"),
        ({"a.csv": "path,speaker\n\udcff,b\n"}, "a .csv manifest is UTF-8 text with commas"),
        ({"a.txt": ""}, "manifest needs a .csv or .parquet file in the folder"),
    ],
)
def test_no_clear_manifest_is_an_error(files, problem, tmp_path):
    """One sentence each."""
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CorpusError, match=problem):
        read(tmp_path)


def test_manifest_csv_is_taken_before_other_tables(tmp_path):
    """Other tables often lie beside it."""
    (tmp_path / "manifest.csv").write_text("path,speaker\na.wav,one\n")
    (tmp_path / "results.csv").write_text("x\n")

    assert [each.utterance for each in read(tmp_path)] == ["a.wav"]
