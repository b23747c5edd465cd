import dataclasses

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora.corpus import CorpusError, Rejected, Row, build_corpus, table_of
from trainables.corpora.trial_lists import TrialList, find_trial_list

NAMES = [f"id{s}/video{v}/0000{u}.wav" for s in range(3) for v in range(2) for u in range(2)]


def row(name, number, source=0):
    return Row(source=source, index=number, utterance=name, speaker=name[:3], path=name, num_samples=8000)


CORPUS = build_corpus(table_of(row(name, i) for i, name in enumerate(NAMES)), sources=(), sample_rate=16000)


def read(path, corpus=CORPUS):
    """The list's trials by name."""
    pairs = find_trial_list(str(path)).pairs(corpus)
    names = corpus.table["path"].to_pylist()
    return [
        (bool(label), names[left], names[right])
        for left, right, label in zip(pairs.left, pairs.right, pairs.label, strict=True)
    ]


def problems_of(path, corpus=CORPUS):
    with pytest.raises(CorpusError) as error:
        find_trial_list(str(path)).pairs(corpus)
    return error.value.problems


TRIALS = st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=40)
BOTH = [(True, NAMES[0], NAMES[1]), (False, NAMES[0], NAMES[5])]


@given(trials=TRIALS.map(lambda trials: [*trials, *BOTH]))
def test_every_form_keeps_order_number_doubles_and_labels(tmp_path_factory, trials):
    """VoxCeleb's lines, Kaldi's lines, a table of text and one of Arrow: the same pairs."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "vox.txt").write_text("".join(f"{label:d} {left} {right}\n" for label, left, right in trials))
    words = ("nontarget", "target")
    (folder / "kaldi").write_text("".join(f"{left}\t{right}  {words[label]}\n" for label, left, right in trials))
    lines = "".join(f"{right},note,{words[label]},{left}\n" for label, left, right in trials)
    (folder / "list.csv").write_text(f"right,more,label,left\n{lines}")
    columns = dict(zip(("label", "left", "right"), zip(*trials, strict=True), strict=True))
    parquet.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), folder / "list.parquet")

    assert all(trials == read(folder / name) for name in ("vox.txt", "kaldi", "list.csv", "list.parquet"))


def test_blank_lines_are_no_trials_and_count_as_lines(tmp_path):
    """Editors leave some at the end; a byte order mark is none of the first label."""
    (tmp_path / "list").write_text(f"1 {NAMES[0]} {NAMES[1]}\n\n0 {NAMES[0]} {NAMES[5]}\n\n", encoding="utf-8-sig")

    assert read(tmp_path / "list") == BOTH
    (tmp_path / "list").write_text(f"\n1 {NAMES[0]}\n")

    assert "1 of 1 trials cannot be read: line 2: " in problems_of(tmp_path / "list")[0]


def test_lines_that_are_no_trials_are_told(tmp_path):
    """Their numbers, five of them, and the forms there are."""
    good = f"1 {NAMES[0]} {NAMES[1]}"
    (tmp_path / "list").write_text("\n".join([good, "2 a b", good, "1 a", "a", "1 a b c", "same a b", "x", "y"]))
    forms = "a trial is `1 left right`, `0 left right`, `left right target` or `left right nontarget`"
    (problem,) = problems_of(tmp_path / "list")
    faults = ["but it is '2 a b'", "but it has 2 fields", "but it has 1 field", "but it has 4 fields"]
    told = "; ".join(
        f"line {n}: {forms}, {f}" for n, f in zip((2, 4, 5, 6, 7), [*faults, "but it is 'same a b'"], strict=True)
    )

    assert problem == f"{tmp_path / 'list'}: 7 of 9 trials cannot be read: {told}; and 2 more"


def test_rows_that_are_no_trials_are_told(tmp_path):
    """A label that is none, a side that is missing, a cell too many."""
    (tmp_path / "m.csv").write_text("label,left,right\nmaybe,a,b\n1,a,\n1,a,b,c\n")

    (problem,) = problems_of(tmp_path / "m.csv")

    assert problem == (
        f"{tmp_path / 'm.csv'}: 3 of 3 trials cannot be read: "
        "row 1: label 'maybe' is none of target, nontarget, 1, 0, true, false; row 2: a trial needs left and right; "
        "row 3: 4 cells, but the header names 3 columns"
    )
    (tmp_path / "m.csv").write_text("label,left,rihgt\n")

    assert problems_of(tmp_path / "m.csv")[0].endswith(
        "no column 'right'; columns: 'label', 'left', 'rihgt'; did you mean 'rihgt'?"
    )


def test_utterances_that_are_not_there_are_told(tmp_path):
    """How many trials, the first lines, the nearest name (in another folder first), and why a file was left out."""
    bad = Rejected(source="m.csv", row=9, path="id2/gone.wav", reason="empty file (0 bytes)")
    corpus = dataclasses.replace(CORPUS, rejected=(bad,))
    others = [f"1 {NAMES[0]} other{i}.wav" for i in range(5)]
    lines = [f"1 {NAMES[0]} {NAMES[1]}", f"0 id2/gone.wav {NAMES[0]}", f"0 {NAMES[0]} wav/{NAMES[5]}", *others]
    (tmp_path / "list").write_text("\n".join(lines))
    (problem,) = problems_of(tmp_path / "list", corpus)

    assert problem == (
        f"{tmp_path / 'list'}: 7 of 8 trials name an utterance that is not in the test set: "
        "line 2 'id2/gone.wav' was left out: empty file (0 bytes); "
        f"line 3 'wav/{NAMES[5]}' (did you mean '{NAMES[5]}'?); "
        "line 4 'other0.wav'; line 5 'other1.wav'; line 6 'other2.wav'; and 2 more"
    )


def test_utterances_of_another_split_are_told_as_such(tmp_path):
    """A list over all of a corpus does not fit its test set."""
    test, train = CORPUS.select(range(4)), CORPUS.select(range(4, 12))
    (tmp_path / "list").write_text(f"1 {NAMES[0]} {NAMES[1]}\n0 {NAMES[0]} {NAMES[5]}\n")
    with pytest.raises(CorpusError) as error:
        find_trial_list(str(tmp_path / "list")).pairs(test, elsewhere=[("train", train)])

    assert str(error.value).endswith(f"that is not in the test set: line 2 '{NAMES[5]}' is in train")


def test_a_name_of_two_utterances_is_no_name(tmp_path):
    """Two sources of test have a file of that path: which is meant cannot be told, others can."""
    rows = [row("a.wav", 0), row("b.wav", 1), row("a.wav", 0, source=1), row("c.wav", 1, source=1)]
    corpus = build_corpus(table_of(rows), sources=(), sample_rate=16000)
    (tmp_path / "list").write_text("1 b.wav c.wav\n0 a.wav b.wav\n")

    assert problems_of(tmp_path / "list", corpus)[0].endswith("line 2 'a.wav' is the name of two utterances")


def test_utterances_go_by_their_names_too(tmp_path):
    """Official lists leave out the folder or the ending that the files of a packed corpus had."""
    rows = [dataclasses.replace(row(name, i), path=f"wav/{name}") for i, name in enumerate(("a/1", "a/2", "b/1"))]
    (tmp_path / "list").write_text("1 a/2 wav/a/1\n0 a/1 b/1\n")
    pairs = find_trial_list(str(tmp_path / "list")).pairs(build_corpus(table_of(rows), sources=(), sample_rate=16000))

    assert [[1, 0], [0, 2]] == [pairs.left.tolist(), pairs.right.tolist()]


@pytest.mark.parametrize(("label", "targets", "others"), [(1, 2, 0), (0, 0, 2)])
def test_a_list_needs_both_labels(tmp_path, label, targets, others):
    """Nothing can be said about errors of one kind alone; an empty list has none."""
    (tmp_path / "list").write_text(f"{label} {NAMES[0]} {NAMES[1]}\n" * 2)
    rule = "there must be trials of the same speaker and trials of different speakers"

    assert problems_of(tmp_path / "list") == (
        f"{tmp_path / 'list'}: {rule}, but it has {targets} of the same and {others} of different speakers",
    )
    (tmp_path / "list").write_text("")

    assert "0 of the same and 0 of different" in problems_of(tmp_path / "list")[0]


def test_what_is_no_text_is_told(tmp_path):
    """A binary file, and one that went away."""
    (tmp_path / "list").write_bytes(b"1 a \xff\xfe")

    assert problems_of(tmp_path / "list")[0].startswith(f"{tmp_path / 'list'}: a list of trials is UTF-8 text, but ")
    with pytest.raises(CorpusError, match="cannot be read: No such file"):
        TrialList(text="gone", file=str(tmp_path / "gone")).pairs(CORPUS)


def test_synthetic_utterances_go_by_their_names(tmp_path):
    """They have no file."""
    rows = [dataclasses.replace(row(name, i), path=None) for i, name in enumerate(("one", "two", "three"))]
    (tmp_path / "list").write_text("three one target\none two nontarget\n")
    pairs = find_trial_list(str(tmp_path / "list")).pairs(build_corpus(table_of(rows), sources=(), sample_rate=16000))

    assert [[1, 0], [0, 2]] == [pairs.left.tolist(), pairs.right.tolist()]
