"""Plug-ins for evaluation harnesses: few-shot prompting of any model on their tasks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
