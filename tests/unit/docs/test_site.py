"""The site is built strictly, all of its links lead somewhere, and nothing in it is fetched from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.unit.docs.pages import DOCS, ROOT

CONFIG = DOCS / "site" / "mkdocs.yml"
FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""What a browser gets by itself, and the attribute that says from where."""


class Links(HTMLParser):
    """What a page links to, what it fetches, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif tag == "a" and name == "href" and value:
                self.targets.append(value)
            elif FETCHED.get(tag) == name and value and ("rel", "canonical") not in attrs:
                self.fetched.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(CONFIG), "--site-dir", str(target)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page) for page in site.rglob("*.html")}


def navigation() -> Iterator[str]:
    def walk(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            for below in entry.values():
                yield from walk(below)
        elif isinstance(entry, list):
            for below in entry:
                yield from walk(below)

    yield from walk(yaml.safe_load(CONFIG.read_text())["nav"])


def test_every_page_is_there_and_in_the_navigation_once(pages: dict[Path, Links], site: Path) -> None:
    written = {str(page.relative_to(DOCS)) for page in [*DOCS.glob("*.md"), *(DOCS / "howto").glob("*.md")]}
    built = {str(page.relative_to(site).with_suffix(".md")) for page in pages} - {"404.md"}
    assert built == written
    listed = list(navigation())
    assert len(listed) == len(set(listed))
    assert set(listed) >= written


def test_all_links_and_anchors_lead_somewhere(pages: dict[Path, Links], site: Path) -> None:
    followed = 0
    for page, links in pages.items():
        if page.name == "404.html":  # stands anywhere, so its links are of the web server's root
            continue
        for target in links.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            file = (page.parent / unquote(url.path)).resolve() if url.path else page
            if file == site:
                continue
            assert file.is_file(), f"{page.name}: {target}"
            if url.fragment and file.suffix == ".html" and not url.fragment.startswith("__"):
                assert unquote(url.fragment) in pages[file].anchors, f"{page.name}: {target}"
            followed += 1
    assert followed > 1000


def test_nothing_is_fetched_from_elsewhere(pages: dict[Path, Links]) -> None:
    for page, links in pages.items():
        for target in links.fetched:
            url = urlsplit(target)
            assert url.scheme in ("", "data"), f"{page.name}: {target}"
            assert not url.netloc, f"{page.name}: {target}"


def test_it_can_be_searched_from_a_disk(site: Path) -> None:
    assert (site / "search" / "search_index.js").read_text().startswith("var __index = ")
    assert 'src="site/iframe-worker.js"' in (site / "index.html").read_text()
    assert (site / "site" / "iframe-worker.js").is_file()


def test_what_makes_the_site_is_not_on_it(site: Path) -> None:
    assert not (site / "site" / "mkdocs.yml").exists()
    assert not (site / "site" / "hooks.py").exists()
    assert not (site / "man").exists()


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    """Strictness is what the test above leans on."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A\n\n[b](b.md) [c](#c)\n")
    settings = yaml.safe_load(CONFIG.read_text().split("\nnav:")[0].replace("hooks: [hooks.py]", ""))
    kept = {key: settings[key] for key in ("site_name", "strict", "validation")}
    config = tmp_path / "mkdocs.yml"
    config.write_text(yaml.safe_dump({**kept, "docs_dir": "docs", "theme": "mkdocs"}))
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir"]
    done = subprocess.run([*command, str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    for target in ("b.md", "#c"):
        assert f"'{target}'" in done.stderr, done.stderr


def test_the_picture_reads_in_light_and_dark() -> None:
    picture = (DOCS / "pipeline.svg").read_text()
    assert "prefers-color-scheme: dark" in picture
    assert "<title" in picture
    assert "<desc" in picture
    assert len(picture) < 8000
    assert picture.count("http") == 1  # the name space


def test_the_readme_leads_to_pages_that_exist() -> None:
    assert "docs/" in (ROOT / "README.md").read_text()
