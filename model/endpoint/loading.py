"""Loading of a language model behind an endpoint: by name and settings, with nothing sent yet."""

from __future__ import annotations

from earful.model.endpoint.decision_model import DecidingLanguageModel
from earful.model.endpoint.language_model import PREFIX, EndpointLanguageModel
from earful.model.endpoint.settings import EndpointSettings


def load_endpoint(
    name: str, settings: EndpointSettings = EndpointSettings()
) -> EndpointLanguageModel:
    """Return the language model behind an endpoint; nothing is sent yet.

    Args:
        name: ``openai:NAME``, or the model's name alone; ``openai:`` for the only one there.
        settings: Where the endpoint is, and how it is asked. Scoring by ``"decisions"`` makes it a
            ``DecidingLanguageModel``.

    Raises:
        EndpointError: There is no address or no key.
        MissingExtraError: The package ``openai`` is not installed.
    """
    from importlib.util import find_spec

    if find_spec("openai") is None:
        raise ModuleNotFoundError("No module named 'openai'", name="openai")
    settings.key()
    decides = settings.scoring == "decisions"
    return (DecidingLanguageModel if decides else EndpointLanguageModel)(
        name.removeprefix(PREFIX), settings
    )
