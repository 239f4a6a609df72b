"""The language model that gives scripted answers, which ships with the models."""

from earful.model import ScriptedLanguageModel

__all__ = ["ScriptedLanguageModel"]
