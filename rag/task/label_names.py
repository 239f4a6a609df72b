"""Names of a task's labels and their aliases, each claimed by one label."""

from __future__ import annotations

from earful.index.corpus import to_nfc
from earful.rag.task.task import label_fault
from earful.wording import quoted, unknown_name


class LabelNames:
    """The names and aliases that a task file declares.

    Names are compared in Unicode's composed form, as corpora are read, so that equal names
    are equal text.
    """

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}  # name or alias -> label

    def claim(self, text: str, label: str) -> str:
        """Claim a name or alias for a label.

        Returns:
            Why it cannot be claimed; empty when it was.
        """
        if fault := label_fault(text):
            return f"label {quoted(text)} {fault}"
        text, label = to_nfc(text), to_nfc(label)
        if text in self._labels:
            claimed = f"label or alias {quoted(text)} is claimed twice"
            return f"{claimed}: by {quoted(self._labels[text])} and by {quoted(label)}"
        self._labels[text] = label
        return ""

    def find(self, text: str) -> tuple[str, str]:
        """Return the label that a name or alias means.

        Without any declared label every name is a label.

        Returns:
            ``(label, "")``, or ``("", what is wrong)``.
        """
        if fault := label_fault(text):
            return "", f"label {quoted(text)} {fault}"
        text = to_nfc(text)
        if not self._labels:
            return text, ""
        if text in self._labels:
            return self._labels[text], ""
        return "", f"{unknown_name('label', text, list(self._labels))}. Declare it under labels"
