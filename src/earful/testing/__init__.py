"""Language models without a download, for tests of code that uses earful.

``ScriptedLanguageModel`` gives scripted answers. ``write_flamingo`` writes a folder with a
small Audio Flamingo of random weights, which loads and answers like a real one, and
``write_hub_checkpoint`` the same in the form of the release, under all its names.
``save_tiny_hub_model`` does so for a family of the hub's models. ``StubEndpoint`` stands for a
server, with the dialects, limits and faults of real ones::

    folder = write_flamingo(tmp_path / "flamingo")
    few = FewShot.open("sounds.index", model=str(folder))
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
