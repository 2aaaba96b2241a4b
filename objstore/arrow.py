"""pyarrow over object stores: a handler for `pyarrow.fs.PyFileSystem`.

    filesystem = pyarrow.fs.PyFileSystem(ArrowFileSystemHandler("s3://bucket/prefix"))

Paths are relative to the root. What is asked of many paths goes out as one batch.

Its one invariant: errors are those that pyarrow and Python expect: FileNotFoundError, IsADirectoryError and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from objstore._arrow.directories import directories_of, parents
from objstore._arrow.input import Files, ObjectInputFile
from objstore.exceptions import BaseError, NotFoundError
from objstore.operations.blocks import has_index
from objstore.settings.extras import missing
from objstore.settings.paths import check_path
from objstore.stores.urls import ClientOptions, open_root

try:
    from pyarrow import ArrowNotImplementedError, PythonFile
    from pyarrow.fs import FileInfo, FileSelector, FileSystemHandler, FileType
except ImportError as error:
    raise missing("objstore.arrow needs pyarrow", "pyarrow") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.store import Store
    from objstore.types import ObjectMeta

__all__ = ["ArrowFileSystemHandler"]


class ArrowFileSystemHandler(FileSystemHandler):
    """A store as a file system of pyarrow.

    Args:
        root: A URL, a local path, or a store; all paths are relative to it.
        options: Settings of the store, where the root is a URL.
        client_options: Settings of the HTTP client, where the root is a URL.

    Source: https://arrow.apache.org/docs/python/generated/pyarrow.fs.FileSystemHandler.html
    """

    def __init__(
        self,
        root: str | Store,
        options: Mapping[str, str] | None = None,
        client_options: ClientOptions | Mapping[str, object] | None = None,
    ) -> None:
        self.store = open_root(root, options, client_options)
        self._keys = self.store.with_raw_keys()
        self._directories = directories_of(self.store)
        self._files = Files(self._keys)
        self._in_turn = self._files.in_turn

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the store."""
        return type(self), (self.store,)

    def __eq__(self, other: object) -> bool:
        """Tell whether two handlers have equal stores."""
        if not isinstance(other, ArrowFileSystemHandler):
            return NotImplemented
        return self.store == other.store

    def __hash__(self) -> int:
        """Hash what equal handlers share."""
        return hash(self.store)

    def equals(self, other: object) -> bool:
        """Tell whether two handlers have equal stores."""
        return self == other

    def get_type_name(self) -> str:
        """Return the name of this kind of file system."""
        return "object-store"

    def normalize_path(self, path: str) -> str:
        """Return a path without slashes at either end.

        Raises:
            InvalidPathError: It has an empty segment, ``.`` or ``..``.
        """
        return check_path(path) if path.strip("/") else ""

    def _file(self, path: str) -> str:
        """Return the key of what is to be a file."""
        if not path or path.endswith("/"):
            raise IsADirectoryError(f"{path!r} names a directory: give the path of a file")
        return check_path(path)

    def _directory(self, path: str) -> str:
        """Return the beginning of the keys in a directory; of all keys for the root."""
        key = self.normalize_path(path)
        return f"{key}/" if key else ""

    # --- what there is

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        """Say what each path is; all are asked about at once. One alone is opened, if it has an index: that is next."""
        keys = [self.normalize_path(path) for path in paths]
        asked = [*dict.fromkeys(filter(None, keys))]
        self._in_turn.forget()
        opened = self._opened(asked)
        found = self._directories.completed(opened) if opened else self._directories.look(asked)
        if len(asked) > 1:
            self._in_turn.listed(key for key, meta in found.items() if isinstance(meta, dict))
        return [self._info(path, key, found[key] if key else None) for path, key in zip(paths, keys, strict=True)]

    def _opened(self, keys: list[str]) -> dict[str, ObjectMeta | BaseError]:
        """Return what is known of a key that is asked about alone, by opening it."""
        if len(keys) != 1 or not has_index(keys[0]) or not self._directories.are_prefixes:
            return {}
        try:
            meta = self._files.look(keys[0])
        except BaseError as error:
            return {keys[0]: error}
        return {} if meta is None else {keys[0]: meta}

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        """List a directory, or all that is below it.

        Raises:
            FileNotFoundError: There is no such directory, and the selector does not allow that.
            NotADirectoryError: It is a file.
        """
        directory = self._directory(selector.base_dir)
        entries = self._directories.tree(directory) if selector.recursive else self._directories.level(directory)
        if not entries and not self._directories.exists(directory):
            self._refuse_directory(selector)
        self._in_turn.listed(directory + name for name, meta in entries if meta is not None)
        shown = selector.base_dir if selector.base_dir[-1:] in ("", "/") else f"{selector.base_dir}/"
        return [self._info(shown + name, directory + name, meta) for name, meta in entries]

    def _info(self, path: str, key: str, meta: ObjectMeta | BaseError | None) -> FileInfo:
        """Return what pyarrow is told about a path: an object, a directory (None), or neither."""
        if isinstance(meta, NotFoundError):
            return FileInfo(path, FileType.NotFound)
        if isinstance(meta, BaseError):
            raise meta
        modified = self._directories.modified(key, meta)
        if meta is None:
            return FileInfo(path, FileType.Directory, mtime_ns=modified)
        return FileInfo(path, FileType.File, size=meta["size"], mtime_ns=modified)

    def _refuse_directory(self, selector: FileSelector) -> None:
        """Raise that a directory does not exist, unless that is allowed."""
        [info] = self.get_file_info([selector.base_dir])
        if info.type == FileType.File:
            raise NotADirectoryError(f"{selector.base_dir!r} is a file")
        if not selector.allow_not_found:
            raise FileNotFoundError(f"the directory {selector.base_dir!r} does not exist")

    # --- directories

    def create_dir(self, path: str, recursive: bool = True) -> None:
        """Create a directory; one that exists stays as it is.

        Raises:
            FileNotFoundError: It is not to create parents, and its own does not exist.
        """
        directory = self._directory(path)
        above = parents(directory)
        if not recursive and not self._directories.exists(above[-1] if above else ""):
            raise FileNotFoundError(f"the parent directory of {path!r} does not exist")
        self._directories.make([*above, directory] if recursive else [directory])

    def _keep_parent(self, key: str) -> None:
        """Keep the directory from which something was taken, though it may be empty now."""
        for parent in parents(key)[-1:]:
            if not self._directories.exists(parent):
                self._directories.make([parent])

    def delete_dir(self, path: str) -> None:
        """Delete a directory and all that is in it.

        Raises:
            FileNotFoundError: There is no such directory.
            ValueError: It is the root.
        """
        self._in_turn.forget()
        directory = self._not_root(path)
        if not self._directories.remove(directory):
            raise FileNotFoundError(f"the directory {path!r} does not exist")
        self._keep_parent(directory)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Delete all that is in a directory, and leave it.

        Raises:
            FileNotFoundError: There is no such directory, and that is not allowed.
            ValueError: It is the root.
        """
        self._in_turn.forget()
        directory = self._not_root(path)
        if self._directories.remove(directory):
            self._directories.make([directory])
        elif not missing_dir_ok:
            raise FileNotFoundError(f"the directory {path!r} does not exist")

    def delete_root_dir_contents(self) -> None:
        """Delete all that is in the root."""
        self._in_turn.forget()
        self._directories.remove("")

    def _not_root(self, path: str) -> str:
        directory = self._directory(path)
        if not directory:
            raise ValueError(f"{path!r} is the root: delete_dir_contents(..., accept_root_dir=True) empties it")
        return directory

    # --- files

    def delete_file(self, path: str) -> None:
        """Delete a file.

        Raises:
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a directory.
        """
        self._in_turn.forget()
        key = self._file(path)
        try:
            self._keys.head(key)
        except NotFoundError as error:
            self._refuse_file(path, error)
        self._keys.delete(key)
        self._keep_parent(key)

    def move(self, src: str, dest: str) -> None:
        """Move a file; directories cannot be moved, as in pyarrow's S3 filesystem.

        Raises:
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a directory.
        """
        self._in_turn.forget()
        source, target = self._file(src), self._file(dest)
        try:
            self._keys.rename(source, target)
        except NotFoundError as error:
            self._refuse_file(src, error)
        self._keep_parent(source)

    move_file = move

    def copy_file(self, src: str, dest: str) -> None:
        """Copy a file.

        Raises:
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a directory.
        """
        self._in_turn.forget()
        try:
            self._keys.copy(self._file(src), self._file(dest))
        except NotFoundError as error:
            self._refuse_file(src, error)

    def _refuse_file(self, path: str, error: NotFoundError) -> NoReturn:
        """Raise that a file does not exist, or that it is a directory."""
        if self._directories.exists(self._directory(path)):
            raise IsADirectoryError(f"{path!r} is a directory: give the path of a file") from error
        raise error

    def open_input_file(self, path: str) -> PythonFile:
        """Open a file for reading anywhere in it; large reads are made of parallel ranges.

        Raises:
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a directory.
        """
        try:
            return PythonFile(ObjectInputFile(self._keys, self._file(path), self._files), mode="r")
        except NotFoundError as error:
            self._refuse_file(path, error)

    def open_input_stream(self, path: str) -> PythonFile:
        """Open a file for reading from its beginning, ahead of what is asked for.

        Raises:
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a directory.
        """
        try:
            return PythonFile(self._keys.open(self._file(path), "rb"), mode="r")
        except NotFoundError as error:
            self._refuse_file(path, error)

    def open_output_stream(self, path: str, metadata: Mapping[str | bytes, str | bytes] | None = None) -> PythonFile:
        """Open a file for writing; it is there, all at once, when it is closed.

        Args:
            path: Its path.
            metadata: What to store with it: Content-Type and the like, or metadata of your own.
        """
        self._in_turn.forget()
        attributes = {_text(name): _text(value) for name, value in (metadata or {}).items()}
        return PythonFile(self._keys.open(self._file(path), "wb", attributes=attributes), mode="w")

    def open_append_stream(self, path: str, metadata: Mapping[str | bytes, str | bytes] | None = None) -> NoReturn:
        """Refuse: objects are written as a whole.

        Raises:
            NotImplementedError: Always.
        """
        raise ArrowNotImplementedError(
            f"{path!r} cannot be appended to: an object is written as a whole, write it anew"
        )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
