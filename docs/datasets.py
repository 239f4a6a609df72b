"""Write docs/datasets.md from the declarations, or check that it is current."""

from __future__ import annotations

from pathlib import Path

from docs.written import write_or_check

from earful.index.datasets import Dataset, Fact, list_datasets, load_declaration

PAGE = Path(__file__).with_name("datasets.md")

PREFACE = PAGE.with_name("datasets.preface.md")


def fact_text(fact: Fact | None) -> str:
    """Return a fact as a table cell, with a question mark when it is not verified."""
    if fact is None or fact.value == "":
        return "?"
    shown = f"{fact.value:,}" if isinstance(fact.value, int) else str(fact.value)
    return shown if fact.verified else f"{shown} (?)"


def table(datasets: list[Dataset]) -> str:
    """Return the table of all data sets, one line each."""
    lines = [
        "| data set | name | reference | domain | audio | tasks | licence | facts verified |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in datasets:
        facts = one.all_facts().values()
        n = sum(fact.verified for fact in facts)
        lines.append(
            f"| [{one.title}](#{one.name}) | `{one.name}` | {' + '.join(one.roles)} | "
            f"{', '.join(one.domains)} | {one.audio_form} | {', '.join(one.tasks)} | "
            f"{fact_text(one.facts.get('licence'))} | {n} of {len(facts)} |"
        )
    return "\n".join(lines)


def section(one: Dataset) -> str:
    """Return the section of one data set: all that its declaration holds."""
    lines = [f"### {one.name}", "", f"{one.title}. {', '.join(map(linked, one.home))}", ""]
    lines += ["```text", one.tree, "```", ""]
    lines += [f"- **{name}**: {fact}" for name, fact in one.facts.items()]
    for name, split in one.splits.items():
        sizes = {"clips": split.clips, "rows": split.rows}
        counted = ", ".join(f"{fact} {unit}" for unit, fact in sizes.items() if fact)
        lines.append(f"- split `{name}`: {counted}")
    if own_split := one.split.describe():
        lines.append(f"- split: {own_split}")
    for reference in one.references:
        parts = [f"`{reference.key}`" if reference.key else ""]
        parts += [f"asked `{reference.prompt}`" if reference.prompt else ""]
        parts += ["with the labels listed" if reference.options else ""]
        parts += [f"answer: {reference.answer}" if reference.answer else ""]
        parts += [f"metric: {reference.metric}" if reference.metric else "", reference.note]
        lines.append(f"- reference: {'; '.join(part for part in parts if part)}")
    lines += [f"- mind: {quirk}" for quirk in one.quirks]
    lines += [f"- overlaps `{name}`: {why}" for name, why in one.overlaps.items()]
    if bad := {**one.known_bad, **one.bad_copies}:
        broken = ", ".join(f"`{id_}` ({why})" for id_, why in bad.items())
        lines.append(f"- left out as broken: {broken}")
    return "\n".join(lines)


def linked(home: str) -> str:
    """Return a home page as a link where it is one."""
    return f"<{home}>" if home.startswith("https://") and " " not in home else home


def page() -> str:
    """Return the whole page."""
    datasets = [load_declaration(name) for name in list_datasets()]
    preface = PREFACE.read_text(encoding="utf-8")
    parts = [preface, "## All 35", "", table(datasets), "", "A question mark: not verified.", ""]
    return "\n".join(parts) + "\n" + "\n\n".join(map(section, datasets)) + "\n"


def main() -> None:
    """Write the page, or with ``--check`` fail when it is not current."""
    write_or_check({PAGE: page()})


if __name__ == "__main__":
    main()
