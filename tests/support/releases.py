"""What a catalog shares, as releases."""

from __future__ import annotations

from typing import Any

from jack.library.catalog import Catalog
from jack.library.release_rows import release_of
from jack.model import Release


def found_in(catalog: Catalog, **query: Any) -> list[Release]:
    """What `Catalog.each` hands over."""
    bodies: list[str] = []
    catalog.each(bodies.append, **query)
    return [release_of(body) for body in bodies]
