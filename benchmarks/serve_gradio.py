"""The review page as Gradio makes it: audio, picture, label and one button.

Runs in an environment of its own, in a folder with pieces of sound and pictures, ``0.wav`` and
``0.png`` to ``N.png``: nothing is decoded or transformed here.

    python serve_gradio.py FOLDER PORT
"""

import sys
from pathlib import Path

import gradio


def main(folder: Path, port: int) -> None:
    """Serve the page until the process ends."""
    n = len(list(folder.glob("*.png")))

    def show(number: int) -> tuple[int, str, str, str]:
        number = (number + 1) % n
        own = folder / f"{number}"
        return number, f"{own}.wav", f"{own}.png", f"item {number}: wren?"

    with gradio.Blocks(title="review") as page:
        number = gradio.State(-1)
        sound = gradio.Audio(autoplay=True, label="sound")
        picture = gradio.Image(label="spectrogram")
        label = gradio.Textbox(label="label")
        button = gradio.Button("next", elem_id="next")
        button.click(show, number, [number, sound, picture, label])
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        allowed_paths=[str(folder)],
        quiet=True,
        show_error=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
