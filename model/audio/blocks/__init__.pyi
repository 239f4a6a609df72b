from .reader import read_blocks
from .records import AudioBlock, BlockPlan, StreamEnd, StreamStart

__all__ = ["AudioBlock", "BlockPlan", "StreamEnd", "StreamStart", "read_blocks"]
