from trainables.corpora.found import Faulty, Found, Note, Tally


def test_a_tally_counts_by_sort_and_passes_on_what_is_packed():
    """Notes are counted and go no further; the frequent sorts come first."""
    found = Found(utterance="u", path="u.wav", speaker="s")
    teens = [Faulty(f"{i}.wav", f"under 20: '{i}대'") for i in range(12)]
    odd = [Note("meta.csv", "no age"), Note("more.csv", "no age: row 2")]
    tally = Tally()

    assert list(tally.watch([odd[0], found, *teens, odd[1]])) == [found, *teens]
    assert tally.num_found == 1
    assert tally.lines() == [
        "under 20: 12 left out, the first 0.wav",
        "no age: 2 noted, the first meta.csv",
    ]
