"""YAML as plain data: texts as written, no references, no key twice.

YAML's own rules turn the label ``no`` into a boolean and ``1_0`` into ten, and let a
kilobyte of references stand for gigabytes. Here every plain value is text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.wording import quoted

# Read whole; the largest that a dataset ships has a few megabytes.
_MAX_BYTES = 1 << 26
_MAX_DEPTH = 20


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Returns:
        Lists, mappings with texts as keys, and texts.

    Raises:
        CorpusError: It is no YAML, too large or too deep, has references (``*name``) or a key
            twice; the message begins with ``path:line`` where the line is known.
    """
    import yaml

    if (size := path.stat().st_size) > _MAX_BYTES:
        raise CorpusError(f"{path}: has {size} bytes; expected at most {_MAX_BYTES} of YAML")
    try:
        text = path.read_text("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=_event_loader()):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                raise CorpusError(
                    f"{path}:{line}: refers to {quoted(event.anchor)}; write the value out"
                )
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise CorpusError(f"{path}:{line}: is nested deeper than {_MAX_DEPTH} levels")
        return _plain(yaml.compose(text, Loader=_event_loader()), path)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path}: is not YAML ({reason})") from error


def _event_loader() -> Any:
    import yaml

    return getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _plain(node: Any, path: Path) -> Any:
    import yaml

    if node is None:
        return None
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, path) for item in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in found:
            what = "is no text" if not isinstance(key, yaml.ScalarNode) else "occurs twice"
            raise CorpusError(
                f"{path}:{key.start_mark.line + 1}: key {quoted(key.value)} {what}; expected "
                "distinct texts"
            )
        found[key.value] = _plain(value, path)
    return found
