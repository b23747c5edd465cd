"""The kinds that can be imported, by name."""

from collections.abc import Mapping

from trainables.corpora.corpus import CorpusError, nearest
from trainables.corpora.found import Kind
from trainables.corpora.kinds.aihub_free import AIHUB_FREE
from trainables.corpora.kinds.aihub_phone import AIHUB_PHONE
from trainables.corpora.kinds.librispeech import LIBRISPEECH
from trainables.corpora.kinds.manifest_kind import MANIFEST
from trainables.corpora.kinds.voxceleb import VOXCELEB1, VOXCELEB2

KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (VOXCELEB1, VOXCELEB2, LIBRISPEECH, AIHUB_FREE, AIHUB_PHONE, MANIFEST)
}


def find_kind(name: str) -> Kind:
    """Return the kind of a name; raises CorpusError with the kinds there are."""
    if name in KINDS:
        return KINDS[name]
    raise CorpusError(f"{name}: no such kind of corpus; kinds: {', '.join(KINDS)}{nearest(name, KINDS)}")
