"""A scripted conversation of five rounds with the shipped model, its answers scored.

The clips are those of the demo whose sources nothing was trained on (split ``new_source`` of
``training/corpus/manifest.csv``), with the labels and kinds that training gives such sounds.
``./dev bench small_model`` asks the same about all of them.
"""

from collections import Counter
from pathlib import Path

import pytest

from earful.model.registry import load_language_model
from earful.rag.pipeline import FewShot

SOUNDS = Path(__file__).resolve().parents[2] / "notebooks" / "demo" / "sounds"
CLIPS = (
    ("bass/pop-d3.flac", "bass guitar", "plucked"),
    ("bass/slap-bass-a1.flac", "bass guitar", "plucked"),
    ("explosion/tnt-explode.flac", "explosion", "weapon"),
    ("guitar/nylon-b4.flac", "acoustic guitar", "plucked"),
    ("guitar/nylon-d4.flac", "acoustic guitar", "plucked"),
    ("kick-drum/room-kick.flac", "kick drum", "drum"),
    ("machine/structures-steamengine-0s.flac", "engine", "vehicle/machine"),
    ("metal-hit/objects-pickaxe-clang1.flac", "metal hit", "impact"),
    ("metal-hit/objects-pickaxe-clang3.flac", "metal hit", "impact"),
    ("organ/b3-c4.flac", "electric organ", "keyboard"),
    ("organ/b3-f5.flac", "electric organ", "keyboard"),
    ("piano/rhodes-c4.flac", "electric piano", "keyboard"),
    ("piano/rhodes-g5.flac", "electric piano", "keyboard"),
    ("shout/clonk-skin-farmer-die1.flac", "shout", "human"),
    ("shout/clonk-skin-farmer-hurt1.flac", "shout", "human"),
    ("water/environment-waterfall-0s.flac", "flowing water", "weather/water/fire"),
    ("whoosh/objects-windbag-gust.flac", "wind", "weather/water/fire"),
    ("wood-hit/hits-materials-wood-dullwoodhit1.flac", "wood hit", "impact"),
)
QUESTIONS = (
    "How many sounds do you hear?",
    "What is this sound?",
    "What kind of sound is this?",
    "Describe this sound.",
    "Which sound is this?",
)
