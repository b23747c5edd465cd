import os

import pytest
import soundfile

from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import Found
from trainables.corpora.kinds.catalogue import KINDS, find_kind


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_a_sound_tree_reads_as_it_was_written(self, kind, sound_trees):
        """Utterances, speakers, recordings, genders, ages, sources, partitions and paths; nothing else is told."""
        tree = sound_trees(kind)

        assert tree.expected == tree.found()
        assert tree.faults() == []
        assert tree.notes() == []

    def test_its_files_are_audio(self, kind, sound_trees):
        """What is found can be decoded."""
        for found in sound_trees(kind).found().values():
            assert soundfile.info(found.path).duration == pytest.approx(0.6)

    def test_two_readings_are_alike(self, kind, sound_trees, copy_of):
        """The order does not depend on when or where the files were written."""
        copied = copy_of(kind)
        names = [each.utterance for each in copied.read() if isinstance(each, Found)]

        assert names == [each.utterance for each in sound_trees(kind).read() if isinstance(each, Found)]

    def test_an_unknown_option_is_an_error(self, kind, sound_trees):
        """At once, with the options there are, and a value that is none of the choices too."""
        with pytest.raises(CorpusError, match=f"{kind}: no option 'speed'"):
            KINDS[kind].read(sound_trees(kind).folder, options={"speed": "2"})
        for option, choices in KINDS[kind].options.items():
            with pytest.raises(CorpusError, match=f"{kind}: {option}: one of {', '.join(choices)}, but got 'x'"):
                KINDS[kind].read(sound_trees(kind).folder, options={option: "x"})

    def test_an_empty_folder_is_an_error(self, kind, tmp_path):
        """It says what was expected."""
        with pytest.raises(CorpusError, match=f"{kind} needs .*, but there is none$"):
            KINDS[kind].read(tmp_path, options={})

    def test_no_folder_is_an_error(self, kind, tmp_path):
        """A path that is not there, or a file of another sort."""
        (tmp_path / "notes.txt").write_text("x")
        for name in ("nowhere", "notes.txt"):
            with pytest.raises(CorpusError, match=name):
                KINDS[kind].read(tmp_path / name, options={})

    @pytest.mark.parametrize("other", [name for name in KINDS if name != "manifest"])
    def test_a_folder_of_another_kind_is_named(self, kind, other, sound_trees):
        """A user who mistook the kind is told which it looks like."""
        if kind == other:
            return
        with pytest.raises(CorpusError, match=f"{kind} needs .*; it looks like {other}$"):
            KINDS[kind].read(sound_trees(other).folder, options={})

    def test_a_name_that_is_no_text_is_told(self, kind, copy_of):
        """Linux allows any bytes; the reader leaves such a file out and goes on."""
        if kind == "manifest":
            return  # its files are named in it
        tree = copy_of(kind)
        place = os.path.dirname(next(iter(tree.expected.values())).path)
        with open(os.fsencode(place) + b"/\xff.wav", "wb"):
            pass
        (fault,) = tree.faults()

        assert fault[1] == "name is not UTF-8"
        assert tree.expected == tree.found()

    def test_archives_and_hidden_files_are_told(self, kind, copy_of):
        """A zip that was not unpacked is a fault; what a Mac leaves behind a note."""
        if kind == "manifest":
            return
        tree = copy_of(kind)
        place = os.path.dirname(next(iter(tree.expected.values())).path)
        for name in ("rest.zip", "._0001.wav"):
            with open(os.path.join(place, name), "wb"):
                pass

        assert [sort for _, sort in tree.faults()] == ["archive, to be unpacked first"]
        assert [sort for _, sort in tree.notes()] == ["hidden file"]


def test_an_unknown_kind_is_an_error_with_the_nearest():
    """All kinds are named."""
    with pytest.raises(CorpusError) as error:
        find_kind("voxceleb")

    assert str(error.value).startswith("voxceleb: no such kind of corpus; kinds: voxceleb1, voxceleb2, librispeech")
    assert "did you mean 'voxceleb" in str(error.value)
    assert find_kind("manifest") is KINDS["manifest"]
