"""Sources: an address of a recording, a folder or a table becomes a path of the tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from earful.errors import StoreError
from earful.files import replaced
from earful.object_stores.copies import local_copy, note_listed, object_exists
from earful.object_stores.location import Location, key_fault
from earful.object_stores.store import ObjectStore, StoredObject
from earful.object_stores.tree import stored_path

_MOST_OBJECTS: Final = 1_000_000
_MOST_TABLE_BYTES: Final = 1 << 30
_LONGEST_NAME: Final = 255


def stored_source(location: Location, is_table: Callable[[Path], bool]) -> Path:
    """Return the path that stands for an object or a folder of objects.

    A folder is listed: its recordings are there as empty files, its tables as they are.

    Args:
        location: The address.
        is_table: Whether a file is read as a table, by its name.

    Returns:
        The path; nothing lies there where the store has nothing.

    Raises:
        StoreError: The store cannot be asked, or a key cannot be the path of a file.
    """
    path = stored_path(location)
    if location.key and object_exists(location):
        _put(path, location, is_table)
        return path
    _list_below(location, path, is_table)
    return path


def _list_below(location: Location, path: Path, is_table: Callable[[Path], bool]) -> None:
    found = list[StoredObject]()
    for one in ObjectStore(location).list():
        # Consoles of stores make such objects where a folder is made.
        if one.name.endswith("/") or not one.name:
            continue
        if fault := key_fault(one.name) or _name_fault(one.name):
            raise StoreError(
                f"{location.below(one.name)}: {fault}, so that no file can have this name; rename "
                "the object"
            )
        found.append(one)
        if len(found) > _MOST_OBJECTS:
            raise StoreError(
                f"{location}: holds over {_MOST_OBJECTS:,} objects, too many to list; give a table "
                "with their addresses, in parts"
            )
    if not found:
        shutil.rmtree(path, ignore_errors=True)
        return
    note_listed(location, found)
    _remove_others(path, {one.name for one in found})
    for one in found:
        _put(path / one.name, location.below(one.name), is_table)


def _put(path: Path, location: Location, is_table: Callable[[Path], bool]) -> None:
    """Make the file that stands for an object."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        if not is_table(path):
            path.touch()
            return
        copy = local_copy(location, max_bytes=_MOST_TABLE_BYTES)
        with replaced(path) as beside:
            shutil.copyfile(copy, beside)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(
            f"{location}: lies below an object of the name of its folder, which no file can; "
            "rename one of them"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{location}: {path} cannot be written ({error.strerror}); name another folder by the "
            "variable EARFUL_CACHE"
        ) from error


def _remove_others(path: Path, names: Iterable[str]) -> None:
    """Remove what stands for objects that are gone."""
    wanted = set(names)
    for parent, _, files in os.walk(path):
        for name in files:
            file = Path(parent, name)
            if file.relative_to(path).as_posix() not in wanted:
                file.unlink(missing_ok=True)


def _name_fault(name: str) -> str:
    longest = max(len(part.encode()) for part in name.split("/"))
    return f"a part of its key has {longest} bytes" if longest > _LONGEST_NAME else ""
