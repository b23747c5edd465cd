"""A sound tree of each kind, written once, and a copy of one to spoil."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

from trainables.corpora.found import Faulty, Finding, Found, Note
from trainables.corpora.kinds.catalogue import KINDS


@dataclass(frozen=True)
class Tree:
    """A tree on disk and what was written into it, by utterance."""

    kind: str
    folder: Path
    expected: dict[str, Found]

    def read(self, **options: str) -> list[Finding]:
        """What the reader of its kind finds."""
        return list(KINDS[self.kind].read(self.folder, options=options))

    def found(self, **options: str) -> dict[str, Found]:
        """The utterances by name."""
        findings = [each for each in self.read(**options) if isinstance(each, Found)]
        names = {each.utterance: each for each in findings}

        assert len(findings) == len(names)
        return names

    def faults(self, **options: str) -> list[tuple[str, str]]:
        """What is left out: (path below the tree, sort), sorted."""
        return self._told(Faulty, options)

    def notes(self, **options: str) -> list[tuple[str, str]]:
        """What is told beside: (path below the tree, sort), sorted."""
        return self._told(Note, options)

    def _told(self, sort: type, options: Mapping[str, str]) -> list[tuple[str, str]]:
        told = [each for each in self.read(**options) if isinstance(each, sort)]
        return sorted((Path(each.path).relative_to(self.folder).as_posix(), each.sort) for each in told)


@pytest.fixture(scope="session")
def sound_trees(trees: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tree]:
    """`sound_trees(kind)`: a tree of a kind, written on first need; not to be changed."""
    written: dict[str, Tree] = {}

    def get(kind: str) -> Tree:
        if kind not in written:
            folder = tmp_path_factory.mktemp(kind)
            expected = {each.utterance: each for each in trees.tree(kind, folder)}
            written[kind] = Tree(kind, folder, expected)
        return written[kind]

    return get


@pytest.fixture
def copy_of(sound_trees: Callable[[str], Tree], trees: ModuleType, tmp_path: Path) -> Callable[[str], Tree]:
    """`copy_of(kind)`: a tree of a kind to spoil."""

    def get(kind: str) -> Tree:
        sound = sound_trees(kind)
        folder = tmp_path / kind
        shutil.copytree(sound.folder, folder)
        expected = {
            name: replace(each, path=str(folder / Path(each.path).relative_to(sound.folder)))
            for name, each in sound.expected.items()
        }
        return Tree(kind, folder, expected)

    return get
