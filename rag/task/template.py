"""Text of a new task file, with comments that explain its keys."""

from __future__ import annotations

import json

from earful.rag.strategies import STRATEGIES
from earful.rag.task.task import ANSWERERS, METRICS, ORDERS, Task


def render_template(task: Task) -> str:
    """Return the text of a task file for a task with a name, a kind and perhaps labels."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("earful.rag.task", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    # Names and labels have no control characters, so their JSON strings are TOML strings.
    environment.filters["text"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["choice"] = lambda names: f"{', '.join(names[:-1])} or {names[-1]}"
    return environment.get_template("new_task.toml.jinja").render(
        task=task,
        metrics=METRICS[task.kind],
        strategies=tuple(STRATEGIES),
        orders=ORDERS,
        arms=ANSWERERS,
    )
