"""The training corpus: labelled sounds out of pinned Debian packages.

Read in this order: ``archives`` (what stands inside a package; ``qt_resource`` and ``game_zip``
are two forms of it), ``packages`` (which packages, which of their sounds, under which licence),
``excerpt`` (one sound to one clip), ``duplicates`` (the same sound twice), ``build`` (all clips
and the manifest). ``packages/`` and ``labels/`` hold the tables, ``manifest.csv`` what they came
to; audio is never kept in the repository.
"""
