"""Folders of models in the hub's layout: found, fetched at a pinned commit, and described.

A model is fetched by ``earful models pull`` alone, which shows its licence first, and is found in
the cache of the hub's own client from then on, at the commit that was fetched. Weights are read
from safetensors alone, and no code of a hub is ever run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from earful.errors import LicenceError, ModelError
from earful.files import write_atomically
from earful.model.hub_models.families import Family, family_of
from earful.model.runtime import (
    RemoteFile,
    download_file,
    first_line,
    hub_cache_folder,
    hub_trouble,
    models_home,
    read_json,
    require_disk_space,
    sha256_of,
)
from earful.plain import json_digest

CARD_NAME: Final = "README.md"
CONFIG_NAME: Final = "config.json"

_NEEDED = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
_FREE: Final = frozenset(
    ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "unlicense")
)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFolder:
    """A model's folder.

    Attributes:
        path: The folder.
        name: What it is called.
        revision: Commit on the hub; empty for a local folder.
        family: Its family.
        licence: As its model card says; empty where that says nothing.
        n_bytes: Size of its weights.
    """

    path: Path
    name: str
    revision: str
    family: Family
    licence: str
    n_bytes: int

    def to_dict(self) -> dict[str, object]:
        """Return what it is as plain JSON values."""
        return {
            **{key: value for key, value in asdict(self).items() if key != "family"},
            "path": str(self.path),
            "family": self.family.title,
            "ran": self.family.ran,
        }

    def weights_sha256(self) -> str:
        """Return the hex SHA-256 over the digests of all weights.

        A file in the hub's cache is named by its digest; others are read.
        """
        digests = {}
        for file in _weights(self.path):
            blob = file.resolve().name
            digests[file.name] = blob if _SHA256.fullmatch(blob) else sha256_of(file)
        return json_digest(digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReport:
    """Report of a model that was fetched.

    Attributes:
        name: Hub id.
        revision: Commit, at which it is used from now on.
        licence: As its model card says.
        folder: Where its files are.
        n_bytes: Size of its files.
    """

    name: str
    revision: str
    licence: str
    folder: Path
    n_bytes: int

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return {**asdict(self), "folder": str(self.folder)}


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of a hub id, ``owner/name`` or ``owner/name@revision``.

    >>> is_hub_id("nvidia/audio-flamingo-3-hf"), is_hub_id("./folder"), is_hub_id("a/b/c")
    (True, False, False)
    """
    return _HUB_ID.fullmatch(name) is not None and not name.startswith(".")


def is_hub_folder(name: str) -> bool:
    """Whether a name is a folder whose config names one of transformers' model types."""
    try:
        config = json.loads((Path(name) / CONFIG_NAME).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and isinstance(config.get("model_type"), str)


def is_fetched(name: str) -> bool:
    """Whether a name is a hub id whose files are here, by whichever way they came."""
    if not is_hub_id(name):
        return False
    try:
        _find_fetched(name)
    except ModelError:
        return False
    return True


def open_hub_folder(name: str) -> HubFolder:
    """Find a model's folder, and read what it is, without its weights.

    Args:
        name: A folder, or a hub id that was fetched, with ``@revision`` for another commit than
            the one that is pinned.

    Raises:
        ModelError: It was not fetched, is damaged, or is of no family that is asked.
    """
    path, revision = (Path(name), "") if Path(name).is_dir() else _find_fetched(name)
    config = path / CONFIG_NAME
    if not config.is_file():
        raise ModelError(f"{name}: has no {CONFIG_NAME}; expected a model in the hub's layout")
    settings = read_json(config)
    family = _read_family(settings, name)
    if fetched := next(_fetches(settings), ""):
        raise ModelError(
            f"{name}: {CONFIG_NAME} has {fetched}, which fetches code or weights from a hub as the "
            "model is loaded; take it out, or take the model from another source"
        )
    weights = _weights(path)
    if not weights:
        raise ModelError(
            f"{name}: has no weights in .safetensors; other formats can run code when they are "
            "read, and are not"
        )
    return HubFolder(
        path=path,
        name=name,
        revision=revision,
        family=family,
        licence=read_licence(path / CARD_NAME),
        n_bytes=sum(file.stat().st_size for file in weights),
    )


def read_licence(card: Path) -> str:
    """Return the licence that a model card states; empty where it states none."""
    import yaml

    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    if not text.startswith("---"):
        return ""
    try:
        stated = yaml.safe_load(text.split("---")[1])
    except yaml.YAMLError:
        return ""
    if not isinstance(stated, dict):
        return ""
    parts = [stated.get(key) for key in ("license", "license_name", "license_link")]
    named = [str(part) for part in parts if isinstance(part, str) and part != "other"]
    return ", ".join(dict.fromkeys(named))


def pull_hub_model(
    name: str, *, accept_licence: bool, progress: Callable[[str], None] | None = None
) -> PullReport:
    """Fetch a model from the hub, and pin its commit.

    Args:
        name: Hub id, with ``@revision`` for a branch, tag or commit other than the newest.
        accept_licence: Whether the user has accepted its licence; asked for where that is not
            one that lets everybody use it for everything.
        progress: Called with its licence, before anything large is fetched, and with each step.

    Raises:
        LicenceError: The licence is not accepted; no weights have been fetched.
        ModelError: The hub cannot be reached, the model is of no family that is asked, a file is
            damaged, or the disk is full.
    """
    say = progress or (lambda _line: None)
    hub_id, _, wanted = name.partition("@")
    commit, files = _list_files(hub_id, wanted)
    by_name = {file.file: file for file in files}
    if CONFIG_NAME not in by_name:
        raise ModelError(f"{name}: has no {CONFIG_NAME} on the hub; expected a model's id")
    family = _read_family(read_json(download_file(by_name[CONFIG_NAME], progress=say)), name)
    licence = ""
    if CARD_NAME in by_name:
        licence = read_licence(download_file(by_name[CARD_NAME], progress=say))
    say(f"{hub_id}: {family.title}, licence: {licence or 'none stated'}")
    if not accept_licence and licence.split(",")[0] not in _FREE:
        raise LicenceError(
            f"{name}: its licence ({licence or 'none stated'}) is not accepted; read it at "
            f"https://huggingface.co/{hub_id}, then run `earful models pull {name} "
            "--accept-licence`"
        )
    weights = [file for file in files if file.file.endswith(".safetensors")]
    if not weights:
        raise ModelError(f"{name}: has no weights in .safetensors, the one format that is read")
    require_disk_space({hub_cache_folder(): sum(file.missing_bytes() for file in files)})
    folder = hub_cache_folder()
    for file in files:
        folder = download_file(file, progress=say).parent
    pin = {"name": hub_id, "revision": commit, "licence": licence}
    _pin_of(hub_id).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_pin_of(hub_id), json.dumps(pin, indent=1) + "\n")
    return PullReport(
        name=hub_id,
        revision=commit,
        licence=licence,
        folder=folder,
        n_bytes=sum(file.n_bytes for file in files),
    )


def list_fetched() -> tuple[str, ...]:
    """Return the hub ids that were fetched, in order."""
    pins = sorted(_pin_of("x/y").parent.glob("*.json"))
    return tuple(str(read_json(pin).get("name", "")) for pin in pins)


def _weights(path: Path) -> list[Path]:
    return sorted(path.glob("*.safetensors"))


def _read_family(config: dict[str, Any], name: str) -> Family:
    return family_of(str(config.get("model_type", "")), name, has_code="auto_map" in config)


def _fetches(settings: object, key: str = "") -> Iterator[str]:
    """Yield settings that transformers or timm would follow to a hub."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            yield from _fetches(value, str(name))
    elif isinstance(settings, list):
        for value in settings:
            yield from _fetches(value, key)
    elif isinstance(settings, str):
        # A kernel of the hub is compiled code.
        is_kernel = key.endswith("attn_implementation") and "/" in settings
        if is_kernel or settings.startswith(("hf-hub:", "hf_hub:", "local-dir:", "timm/")):
            yield f"{key}={settings!r}"


def _pin_of(hub_id: str) -> Path:
    return models_home() / "hub" / f"{hub_id.replace('/', '--')}.json"


def _find_fetched(name: str) -> tuple[Path, str]:
    from huggingface_hub import try_to_load_from_cache

    hub_id, _, wanted = name.partition("@")
    pin = _pin_of(hub_id)
    if not wanted and pin.is_file():
        wanted = str(read_json(pin).get("revision", ""))
    found = try_to_load_from_cache(hub_id, CONFIG_NAME, revision=wanted or None)
    if not isinstance(found, str):
        raise ModelError(
            f"{name} is not in {hub_cache_folder()}; fetch it with `earful models pull {name}`, "
            "or give a folder in the hub's layout"
        )
    folder = Path(found).parent
    return folder, folder.name


def _list_files(hub_id: str, revision: str) -> tuple[str, list[RemoteFile]]:
    """Return a model's commit, and the files of it that are needed."""
    from huggingface_hub import HfApi

    what = f"{hub_id}{f' at {revision}' if revision else ''}"
    try:
        info = HfApi().model_info(hub_id, revision=revision or None, files_metadata=True)
    except Exception as error:  # also the HTTP library's own, and which library that is changes
        if trouble := hub_trouble(error):
            raise ModelError(
                f"{what}: cannot be looked up on the hub: {trouble}, or give a folder in the hub's "
                "layout, which was fetched elsewhere"
            ) from error
        raise ModelError(
            f"{what}: cannot be found on the hub: {first_line(error)}. Look up its id, or give a "
            "folder in the hub's layout"
        ) from error
    commit = str(info.sha)
    files = [
        RemoteFile(
            repository=hub_id,
            file=sibling.rfilename,
            n_bytes=sibling.size or 0,
            commit=commit,
            etag=(sibling.lfs.sha256 if sibling.lfs else sibling.blob_id) or "",
        )
        for sibling in info.siblings or ()
        if "/" not in sibling.rfilename
        and (sibling.rfilename.endswith(_NEEDED) or sibling.rfilename == CARD_NAME)
    ]
    return commit, files
