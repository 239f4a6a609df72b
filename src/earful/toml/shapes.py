"""Marks on a dataclass's fields that say how a file may write them; pydantic reads the marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

Item = TypeVar("Item")


class Before:
    """Mark of a type whose values are changed by a function before they are checked.

    As pydantic's ``BeforeValidator``, but pydantic is imported only where a file is read.
    """

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the type's schema behind the function."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self._change, handler(source))


Many = Annotated[
    tuple[Item, ...],
    Before(lambda value: tuple(value) if isinstance(value, list) else (value,)),
]
"""An array; one value without brackets is an array of one."""
