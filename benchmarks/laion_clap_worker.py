"""One contestant of ``benchmarks/embedding.py``: the package ``laion-clap`` and its file list.

Runs in the environment that ``tests/parity/make_laion_clap_environment.sh`` makes.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "parity")]


def main() -> None:
    """Serve the package's own way from a folder of files to vectors."""
    from benchmarks.contestant import serve
    from embed_with_laion_clap import stay_offline

    weights, folder = Path(sys.argv[1]), Path(sys.argv[2])
    stay_offline(weights)
    import laion_clap

    module = laion_clap.CLAP_Module(enable_fusion=False, amodel="HTSAT-tiny", device="cpu")
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    serve(lambda: module.get_audio_embedding_from_filelist(files)[0].tolist(), dtype="float32")


if __name__ == "__main__":
    main()
