"""The layers of the library, as ARCHITECTURE.md tells of them and as the imports are; and their picture.

`python -m tests.layers` draws the picture anew. Imports count wherever they stand: in functions, in stubs, and where
only type checkers look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "ARCHITECTURE.md"
PACKAGE = "objstore"
PICTURE = re.compile(
    r"(?<=<!-- layers: drawn by `python -m tests.layers` -->\n).*?(?=<!-- end of layers -->)", re.DOTALL
)
ROW = re.compile(r"\| (\d+) \| ((?:`[\w./]+` ?)+)\| (.*) \|")

Graph = dict[str, set[str]]


class Layer(NamedTuple):
    """A row of the table.

    Args:
        rank: How high it stands.
        places: Its folders (with a slash) and files, below the package.
        told: What the document says of it.
    """

    rank: int
    places: list[str]
    told: str


def read_layers() -> list[Layer]:
    """Read the table of ranks."""
    rows = map(ROW.fullmatch, DOCUMENT.read_text().splitlines())
    return [Layer(int(row[1]), re.findall(r"`([^`]+)`", row[2]), row[3]) for row in rows if row]


def sources() -> dict[str, Path]:
    """Return the file of each module; of the engine, its stub."""
    files = [*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / PACKAGE).rglob("*.pyi")]
    return {_name(file): file for file in files}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def place_of(file: Path, places: Iterable[str]) -> str | None:
    """Return the place that a file belongs to: the longest that it is in."""
    path = str(file.relative_to(ROOT / PACKAGE)).replace(".pyi", ".pyx")
    fitting = [place for place in places if path == place or (place.endswith("/") and path.startswith(place))]
    return max(fitting, key=len, default=None)


def imports() -> Graph:
    """Return which modules each module imports."""
    files = sources()
    return {name: {*_imported(file, files)} - {name} for name, file in files.items()}


def _imported(file: Path, files: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in files else str(node.module) for name in named if node.module in files)


def circle(graph: Graph) -> list[str]:
    """Return modules that import each other in a circle; none if there is no such circle."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        found = next(filter(None, (visit(other, [*way, name]) for other in sorted(graph[name]))), [])
        done.add(name)
        return found

    return next(filter(None, (visit(name, []) for name in sorted(graph))), [])


def between_places() -> Graph:
    """Return which places each place imports from."""
    files, places = sources(), [place for layer in read_layers() for place in layer.places]
    graph: Graph = {place: set() for place in places}
    for name, others in imports().items():
        place = place_of(files[name], places)
        if place is not None:
            graph[place] |= {found for other in others if (found := place_of(files[other], places))} - {place}
    return graph


def draw() -> str:
    """Return the picture: an arrow for each import that no longer way of arrows implies."""
    graph = between_places()
    lines = ["```mermaid", "graph TD"]
    lines += [f"    {_id(place)}[{place.removesuffix('/')}]" for place in graph]
    for place, others in graph.items():
        further = {last for other in others for last in _reached(graph, other) - {other}}
        lines += [f"    {_id(place)} --> {_id(other)}" for other in sorted(others - further)]
    return "\n".join([*lines, "```", ""])


def _id(place: str) -> str:
    return re.sub(r"\W", "_", place.rstrip("/"))


def _reached(graph: Graph, start: str) -> set[str]:
    found, ahead = set[str](), [start]
    while ahead:
        place = ahead.pop()
        if place not in found:
            found.add(place)
            ahead += graph[place]
    return found


if __name__ == "__main__":
    DOCUMENT.write_text(PICTURE.sub(lambda _: draw(), DOCUMENT.read_text()))
