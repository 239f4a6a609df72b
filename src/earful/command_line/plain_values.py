"""Plain values of parameters, which need no check: typer's takes the import of pydantic."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args, get_origin

_NOT_PLAIN: Final = object()
_MOST_DIGITS: Final = 9
# What typer may be told of a parameter beyond its kind.
_CHECKS: Final = (
    "click_type", "clamp", "exists", "writable", "resolve_path", "allow_dash",
    "path_type", "mode", "formats",
)  # fmt: skip
_FORBIDDEN: Final = ("file_okay", "dir_okay", "readable")


def without_checks(parameters: list[Any]) -> list[Any]:
    """Let parameters take plain values as they are; typer checks any other.

    Args:
        parameters: Options and arguments, as typer made them. One whose kind of value cannot be
            told is left alone.
    """
    for parameter in parameters:
        described = getattr(parameter, "type_descriptor", None)
        kind = getattr(described, "annotation", None)
        about = getattr(described, "parameter_info", None)
        if kind is None or about is None or isinstance(parameter.process_value, partial):
            continue
        is_checked = any(getattr(about, name, None) for name in _CHECKS) or not all(
            getattr(about, name, True) for name in _FORBIDDEN
        )
        if not is_checked:
            parameter.process_value = partial(
                _value, parameter, kind, about, parameter.process_value
            )
    return parameters


def _value(
    parameter: Any, kind: Any, about: Any, check: Callable[..., Any], context: Any, given: Any
) -> Any:
    """Return what a value that was given means; typer refuses what is missing."""
    if parameter.multiple or parameter.nargs != 1:
        plain: Any = _NOT_PLAIN
        if given is None:
            plain = _NOT_PLAIN if parameter.required else ()
        elif get_origin(kind) is list and isinstance(given, list | tuple):
            (one,) = get_args(kind)
            values = [_plain(one, about, each) for each in given]
            if not any(each is _NOT_PLAIN for each in values) and (given or not parameter.required):
                plain = values
    elif given is None:
        plain = _NOT_PLAIN if parameter.required else None
    elif about.parser is not None and isinstance(given, str):
        plain = _parsed(parameter, about.parser, context, given)
    else:
        plain = _plain(kind, about, given)
    if plain is _NOT_PLAIN:
        return check(context, given)
    return plain if parameter.callback is None else parameter.callback(context, parameter, plain)


def _parsed(parameter: Any, parse: Callable[[str], Any], context: Any, given: str) -> Any:
    """Return what a parser of ours makes of a value; a refusal tells of the parameter."""
    from typer import BadParameter

    try:
        return parse(given)
    except BadParameter as error:
        error.ctx, error.param = error.ctx or context, error.param or parameter
        raise


def _plain(kind: Any, about: Any, given: Any) -> Any:
    if not isinstance(kind, type):
        return _NOT_PLAIN
    if not isinstance(given, str):
        return given if isinstance(given, kind) else _NOT_PLAIN  # a default
    if kind is str:
        return given
    if kind is Path and _is_plain_path(given):
        return Path(given)
    if kind is int and given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS:
        number = int(given)
        low = number if about.min is None else about.min
        high = number if about.max is None else about.max
        return number if low <= number <= high else _NOT_PLAIN
    return _NOT_PLAIN


def _is_plain_path(given: str) -> bool:
    """Whether nothing is there, or what is there can be read."""
    try:
        os.lstat(given)
    except OSError:
        return True
    except ValueError:
        return False  # a character that no name of a file can hold
    return os.access(given, os.R_OK)
