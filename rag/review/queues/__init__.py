"""Queues: the orders in which reviewers are shown items, and leases that keep them apart."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
