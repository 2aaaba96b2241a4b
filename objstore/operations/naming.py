"""Which object a path names, where that takes a look.

A slash at an end of a path that somebody types is left out. A listing gives keys as they are, and a key may have such a
slash (the folder marks of consoles do): to leave it out would name another object. So an operation on one object looks
for a key that is exactly the path, and refuses it where there is one. What removes objects, and what takes many paths,
refuses such slashes without a look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import NotFoundError, PermissionDeniedError, UnauthenticatedError
from objstore.interface.values import ANY, ListQuery
from objstore.settings.paths import has_outer_slash, names_another

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan


def key_of(store: BaseStore, path: str) -> Plan[str]:
    """Return the key of a path.

    Raises:
        InvalidPathError: It is no path, or a listing would give it as that of another object.
    """
    key = store.key(path)
    if has_outer_slash(path):
        yield from _check_slash(store, path)
    return key


def readable_key_of(store: BaseStore, path: str) -> Plan[str]:
    """Return the key of a path that is going to be read; of a store that is itself an object, '' is that one."""
    if path == "" and store.reads_itself:
        return path
    key = store.key(path)
    if has_outer_slash(path):
        yield from _check_slash(store, path)
    return key


def _check_slash(store: BaseStore, path: str) -> Plan[None]:
    """Raise if a listing gives a path with a slash at an end as it stands, which is left out."""
    if store.leaves_out_slashes and (yield from _is_listed(store, path)):
        raise names_another(path)


def _is_listed(store: BaseStore, path: str) -> Plan[bool]:
    """Tell whether a listing gives a path as it stands; who may not list has it from no listing.

    Where listings are of whole folders, the object itself is asked for.
    """
    exact = store.full_prefix(path, by="string")
    if not store.provider.lists_any_prefix:
        return (yield from _is_there(store, exact))
    try:
        page = yield from store.provider.list_page(ListQuery(prefix=exact, limit=1))
    except (PermissionDeniedError, UnauthenticatedError):
        return False
    return page.objects.keys(0, 1) == [exact]


def _is_there(store: BaseStore, key: str) -> Plan[bool]:
    try:
        yield from store.provider.head(key, ANY)
    except (NotFoundError, PermissionDeniedError, UnauthenticatedError):
        return False
    return True
