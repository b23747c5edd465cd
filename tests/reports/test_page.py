"""The page and the Markdown: one file, nothing fetched, everything escaped, readable wide and narrow."""

import html.parser
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from reports.blocks import Column, Row, Section, Table, Verbatim
from reports.page import markdown_text, render, render_markdown, render_page, write_report
from reports.reading import read_run
from reports.sections import SECTIONS

EVIL = "<script>alert('x')</script> | `a` & </pre> _b_ [c](http://example.org/x)"
MAX_BYTES = 3_000_000
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=5000",
)


class Parsed(html.parser.HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, *names: str) -> list[str]:
        """All values of these attributes."""
        return [attrs[name] or "" for _, attrs in self.tags for name in names if name in attrs]


@pytest.fixture(scope="module")
def written(fabricate_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """report.html and report.md of a fabricated run."""
    folder = fabricate_run(tmp_path_factory.mktemp("runs") / "paged", trials=20, failed=2, pruned=6, unfinished=1)
    page, text = write_report(str(folder))
    return Path(page), Path(text)


@pytest.fixture(scope="module")
def page(written: tuple[Path, Path]) -> str:
    """The page's text."""
    return written[0].read_text()


class TestPage:
    def test_is_one_small_file_in_the_run(self, written: tuple[Path, Path]) -> None:
        """Both files lie in the run directory."""
        assert ["report.html", "report.md"] == [path.name for path in written]
        assert written[0].stat().st_size < MAX_BYTES

    def test_asks_nothing_of_the_network(self, page: str) -> None:
        """No address in any attribute that loads or leads away, and a policy that forbids it."""
        parsed = Parsed(page)

        assert all(v.startswith("#") for v in parsed.values("src", "href", "xlink:href", "srcset", "action", "data"))
        assert not re.search(r"@import|url\((?!#)", page)
        assert not {"link", "iframe", "object", "embed", "img", "base"} & {tag for tag, _ in parsed.tags}
        assert "default-src 'none'" in page

    def test_sections_stand_in_order_with_headings(self, page: str) -> None:
        """The navigation leads to every section, in the order of the page."""
        parsed = Parsed(page)
        sections = [attrs["id"] for tag, attrs in parsed.tags if tag == "section"]
        targets = [v[1:] for v in parsed.values("href") if v.startswith("#")]

        assert sections == targets[1:]
        assert "verdict" == sections[0]
        assert "provenance" == sections[-1]
        assert [1, 12] == [sum(tag == name for tag, _ in parsed.tags) for name in ("h1", "h2")]

    def test_charts_are_drawings_with_words(self, page: str) -> None:
        """Every figure holds an SVG that is named for those who do not see it; ids are unique."""
        parsed = Parsed(page)
        drawings = [attrs for _, attrs in parsed.tags if (attrs.get("class") or "").startswith("drawing")]
        ids = parsed.values("id")

        assert 7 == sum(tag == "figure" for tag, _ in parsed.tags) == page.count("<figcaption>")
        assert len(drawings) == page.count("<svg ")
        assert all(d["role"] == "img" and d["aria-label"] for d in drawings)
        assert len(ids) == len(set(ids))

    def test_tables_have_captions_and_scroll_in_their_box(self, page: str) -> None:
        """A caption a table, and a box that the keyboard reaches."""
        assert (
            page.count("<table aria")
            == page.count('<p class="caption"')
            == page.count('<div class="scroll" tabindex="0"')
        )

    def test_the_same_tables_give_the_same_page(self, written: tuple[Path, Path], page: str) -> None:
        """No clock and no chance in it."""
        assert page == render(read_run(written[0].parent))[0]

    def test_a_script_in_an_error_shows_as_text(self, handmade: ModuleType, tmp_path: Path) -> None:
        """Errors, tracebacks, arms, titles, paths and warnings of users cannot become markup."""
        rows = [
            handmade.trial(None, state="failed", error=EVIL, traceback=EVIL),
            handmade.trial(0, phase="arm", arm=EVIL, **{"knob.loss": EVIL}),
            handmade.trial(1),
        ]
        rejected = [{"source": EVIL, "row": 1, "path": EVIL, "reason": EVIL, "start": 1}]
        corpus = [{"role": "train", "utterances": 1, "speakers": 1, "hours": 1.0, "source": EVIL, "fingerprint": EVIL}]
        (tmp_path / "study.toml").write_text(EVIL)
        run = handmade.run_of(
            tmp_path,
            rows,
            rejected=rejected,
            corpus=[{**corpus[0], "start": 1}],
            study={"title": EVIL},
            warnings=(EVIL,),
        )
        page, text = render(run)
        parsed = Parsed(page)
        fenced = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)

        assert 1 == sum(tag == "script" for tag, _ in parsed.tags)
        assert any("alert('x')" in text for text in parsed.texts)
        assert not [name for _, attrs in parsed.tags for name in attrs if name.startswith("on")]
        assert "<script" not in fenced
        assert not re.search(r"(?<!\\)\]\(http", fenced)


class TestMarkdown:
    def test_has_the_same_sections_and_sentences(self, written: tuple[Path, Path], page: str) -> None:
        """Headings in the page's order; each chart is its sentence."""
        text = written[1].read_text()
        headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)

        assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == headings
        assert 7 == text.count("(chart in report.html): ")
        assert "<svg" not in text

    def test_golden(self) -> None:
        """Sentences, a table and a fence, as Markdown wants them."""
        table = Table("Configs", (Column("name"), Column("EER (%)", True)), (Row(("a|b", "7.31")),), ("One seed.",))
        text = "x = 1\n```\ny = 2"
        section = Section(
            "s", "Some *title*", ("It is learning_rate <b>.",), tables=(table,), verbatims=(Verbatim("File", text),)
        )

        expected = """# T

voxstudy report · the run's tables as of now

## Some \\*title\\*

It is learning_rate &lt;b&gt;.

Configs:

| name | EER (%) |
|---|---:|
| a\\|b | 7.31 |

One seed.

File:

````
x = 1
```
y = 2
````
"""
        assert expected == render_markdown("T", [section], "now")

    def test_several_notes_are_a_list(self) -> None:
        """One note is a paragraph, several are items, in both formats."""
        made = [
            Section("s", "S", tables=(Table("C", (Column("a"),), (Row(("1",)),), notes),))
            for notes in (("One.",), ("One.", "Two."))
        ]

        assert "\nOne.\n" in render_markdown("T", made[:1], "now")
        assert "\n- One.\n- Two.\n" in render_markdown("T", made[1:], "now")
        assert '<p class="note">One.</p>' in render_page("T", made[:1], "now")
        assert '<ul class="note">\n<li>One.</li>\n<li>Two.</li>\n</ul>' in render_page("T", made[1:], "now")

    def test_every_table_is_a_table(self, written: tuple[Path, Path]) -> None:
        """All lines of a table have the cells of its heading."""
        text = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", written[1].read_text())
        for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}

            assert 1 == len(widths), block

    def test_markup_is_text(self) -> None:
        """Stars, pipes, angles and underscores at the edge of words are escaped, names of knobs stay readable."""
        assert r"\*a\* \| &lt;b&gt; \_c\_ learning_rate" == markdown_text("*a* | <b>\n_c_ learning_rate")
        assert r"\# not a heading" == markdown_text("# not a heading")


@pytest.mark.parametrize("rows", [[], [{}], [{"state": "failed", "error": "x"}]], ids=["none", "one", "failed"])
def test_a_report_of_almost_nothing(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, object]]) -> None:
    """A run without trials, with one, with a failed one still has all its sections."""
    run = handmade.run_of(tmp_path, [handmade.trial(n, **row) for n, row in enumerate(rows)])
    page, text = render(run)

    assert len(SECTIONS) == page.count("<section ") == text.count("\n## ")


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1400, 390])
def test_chromium_shows_it_without_sideways_scrolling(page: str, tmp_path: Path, width: int) -> None:
    """At both widths nothing is wider than the window, the text is there, and each figure shows exactly one drawing."""
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("VOXSTUDY_REQUIRE_CHROMIUM"):
        pytest.skip("chromium is not installed")
    assert chromium is not None, "VOXSTUDY_REQUIRE_CHROMIUM is set, but there is no chromium"
    # The page's own policy lets no other script run, so the copy that measures itself goes without it, in a frame:
    # a headless window is never narrower than 500 pixels.
    script = """<script>addEventListener("load", () => {
      const shown = (element) => element.getClientRects().length > 0;
      const drawings = [...document.querySelectorAll("figure")]
        .map((figure) => [...figure.querySelectorAll("svg")].filter(shown).length);
      const facts = [innerWidth, document.documentElement.scrollWidth, Math.max(...drawings), Math.min(...drawings)];
      parent.postMessage([...facts, document.querySelector(".lead").innerText].join(" "), "*");
    });</script></body>"""
    frame = f"""<!doctype html><body><script>
      addEventListener("message", (event) => {{ document.body.dataset.measured = event.data; }});
    </script><iframe src="copy.html" style="border: 0; width: {width}px; height: 3000px"></iframe></body>"""
    copied = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", script)
    (tmp_path / "copy.html").write_text(copied)
    (tmp_path / "frame.html").write_text(frame)
    command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,3000", "--dump-dom"]
    address = (tmp_path / "frame.html").as_uri()
    found = subprocess.run([*command, address], capture_output=True, text=True, check=True, timeout=120).stdout
    facts = re.search(r'data-measured="(\d+) (\d+) (\d+) (\d+) ([^"]*)"', found)

    assert facts is not None
    inner, scrolled, most, fewest = (int(fact) for fact in facts.groups()[:4])
    assert width == inner
    assert scrolled <= inner
    assert (1, 1) == (most, fewest)
    assert facts[5].startswith("The lowest dev EER is")
