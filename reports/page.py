"""The report: one HTML file that needs no network and no script, and the same as Markdown.

Everything that users, files or errors said is escaped: by Jinja's autoescape in the page, by `markdown_text` in the
Markdown. The page's own script (words on hover) is named by its hash in the content security policy, so that no other
script can run, and nothing can be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from importlib import resources

import jinja2
from markupsafe import Markup

from reports.blocks import Section
from reports.reading import Run, read_run
from reports.sections import SECTIONS
from reports.store import Store
from reports.summaries import Summary, summarise
from reports.words import clean, moment

HTML_NAME = "report.html"
MARKDOWN_NAME = "report.md"


def write_report(run_path: str) -> tuple[str, str]:
    """Writes report.html and report.md into the run directory (a path or a pyarrow.fs URI) and returns where they are.

    Raises RunError if there is no run, StoreError if it cannot be written.
    """
    store = Store(run_path)
    run = read_run(run_path)
    page, text = render(run)
    store.write(HTML_NAME, page.encode())
    store.write(MARKDOWN_NAME, text.encode())
    return store.place(HTML_NAME), store.place(MARKDOWN_NAME)


def render(run: Run) -> tuple[str, str]:
    """The page and the Markdown."""
    summary = summarise(run)
    sections = [make(run, summary) for make in SECTIONS]
    title = clean(run.study.title)
    return render_page(title, sections, as_of(summary)), render_markdown(title, sections, as_of(summary))


def as_of(summary: Summary) -> str:
    """The newest moment in the tables: the same tables give the same report, whenever it is made."""
    columns = [summary.trials["started"], summary.trials["ended"], summary.epochs["time"]]
    newest = [column.max() for column in columns if column.drop_nulls().len()]
    moments = [time for time in newest if isinstance(time, datetime)]
    return moment(max(moments)) if moments else "before the first trial"


def render_page(title: str, sections: list[Section], state: str) -> str:
    """The HTML file."""
    script = template_text("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {"style": Markup(template_text("page.css")), "script": Markup(script), "script_hash": digest}
    template = environment(autoescape=True).get_template("page.html.j2")
    return template.render(title=title, sections=sections, state=state, **parts)


def render_markdown(title: str, sections: list[Section], state: str) -> str:
    """The Markdown file: text and tables; each chart is its sentence."""
    template = environment(autoescape=False).get_template("page.md.j2")
    text = template.render(title=title, sections=sections, state=state)
    # Blocks are set apart by loops and conditions; a run of empty lines outside of code means nothing in Markdown.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def environment(*, autoescape: bool) -> jinja2.Environment:
    """Jinja over the templates of this package; an unknown name in a template is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports", "templates"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"bound": bound, "svg": Markup, "md": markdown_text, "fence": fence, "printable": printable}
    return made


def template_text(name: str) -> str:
    """A file of the templates folder, without the line break at its end."""
    return resources.files("reports").joinpath("templates", name).read_text(encoding="utf-8").rstrip()


def bound(text: str) -> str:
    """The text with numbers bound to their units and to a ± before them, so that no line breaks between them."""
    return re.sub(r"(?<=\d) (?=%|(?:s|min|h|points)\b)|(?<=±) (?=\d)", "\u00a0", text)


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in a table's cell too: no markup, no HTML, one line."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~])", r"\\\1", line)
    # An underscore within a word (learning_rate) and a # behind a word mean nothing.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^#", r"\\\g<0>", line)


def fence(text: str) -> str:
    """A fence longer than any run of backticks in the text, so that the text cannot close it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)


def printable(text: str) -> str:
    """A text of several lines without other control characters."""
    return clean(text.replace("\r\n", "\n"), keep="\n\t").rstrip("\n")
