"""A folder is a layer: it imports from those below it and from itself, never upwards and never in a circle."""

from __future__ import annotations

import re

from tests import layers
from tests.layers import Layer

FILES = layers.sources()
LAYERS = layers.read_layers()
PLACES = {place: layer for layer in LAYERS for place in layer.places}


def home(module: str) -> str:
    """Return the place of a module."""
    place = layers.place_of(FILES[module], PLACES)
    assert place is not None, f"{module} is in no layer of ARCHITECTURE.md"
    return place


def test_every_module_is_in_a_layer_and_every_layer_has_modules() -> None:
    assert {home(module) for module in FILES} == set(PLACES)


def test_no_import_goes_up() -> None:
    up = [
        f"{module} imports {other}"
        for module, others in layers.imports().items()
        for other in others
        if home(module) != home(other) and PLACES[home(module)].rank <= PLACES[home(other)].rank
    ]
    assert not up


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = layers.imports()
    assert layers.circle(graph) == []
    lowest = graph["objstore.exceptions"] | {"objstore.store"}
    assert layers.circle(graph | {"objstore.exceptions": lowest}), "a circle is found where there is one"


def test_the_table_names_every_module_of_a_folder() -> None:
    missing = [
        module
        for module, file in FILES.items()
        if file.stem != "__init__" and home(module).endswith("/") and not _told(PLACES[home(module)], file.stem)
    ]
    assert not missing


def _told(layer: Layer, name: str) -> bool:
    return re.search(rf"`(?:[\w/]+/)?{name}`", layer.told) is not None


def test_the_picture_shows_the_imports_as_they_are() -> None:
    found = layers.PICTURE.search(layers.DOCUMENT.read_text())
    assert found is not None
    assert found[0] == layers.draw(), "python -m tests.layers draws it anew"
