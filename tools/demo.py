"""A page in the browser: classes of an image and its attention maps.

    python tools/demo.py work_dirs/vit-s_textile
    python tools/demo.py lore/vit-s_textile --checkpoint best.pth --port 8080

Needs ``pip install "lore_mm[demo]"``. The page asks nothing of any other
machine; only this one can open it unless --host or --share says otherwise.
"""

import argparse
import os
from pathlib import Path

from lore_mm.apis import ImageExplorer
from lore_mm.apis.image_attention import ImageAttention
from lore_mm.apis.images import list_images, read_thumbnails
from lore_mm.engine.failures import run_main
from lore_mm.engine.options import OptionAction

# Read when gradio is imported.
os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
os.environ.setdefault('HF_HUB_DISABLE_TELEMETRY', '1')
try:
    import gradio as gr
except ImportError:
    raise SystemExit(
        'error: the page needs gradio; pip install "lore_mm[demo]".'
    ) from None

NAMES = ('image', 'B-B', 'KLA', 'LORE')
LABELS = ('Click a patch', 'B-B (bare ViT)', 'KLA', 'LORE')
INTRO = 'Where the bare ViT (B-B), KLA and LORE look: bright is more.'
HINT = 'Upload an image or pick an example.'
MAX_SIZE = '100mb'
MAX_SESSIONS = 20  # each keeps the attention weights of an image
THUMBNAIL = 128
CSS = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important;
    width: 100%; min-width: 0; }
.row { flex-wrap: wrap; }
#message p { margin: 0; }
#classes { padding-top: 26px; }
#classes .output-class { font-size: 1.2em; padding: 0 8px 8px; }
#examples { padding-top: 26px; min-height: 0; }
#examples .grid-wrap { height: auto !important; min-height: 0; }
#examples .grid-container {
    grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)) !important; }
.map { padding-top: 26px; }
.map img { cursor: crosshair; }
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'config', help='a config, a checkpoint, or the work folder of a run'
    )
    parser.add_argument('--checkpoint', help='where config has none')
    parser.add_argument(
        '--examples',
        nargs='+',
        help='images or folders to pick from (default: of the test set)',
    )
    parser.add_argument('--topk', type=int, default=5)
    parser.add_argument('--device')
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument(
        '--port', type=int, help='default: the first free one from 7860'
    )
    parser.add_argument(
        '--share',
        choices=('off', 'on'),
        default='off',
        help='on: a public address, through a server of gradio',
    )
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction)
    args = parser.parse_args()
    if args.topk < 1:
        parser.error(f'--topk must be at least 1, got {args.topk}')
    if args.port is not None and not 1 <= args.port <= 65535:
        parser.error(f'--port must be in [1, 65535], got {args.port}')
    return args


class Page:
    """What the page's controls do; ``state`` is what one visitor looks at."""

    def __init__(self, explore: ImageExplorer, examples: list[Path]) -> None:
        self.explore = explore
        self.examples = examples

    def open(self, path: str | None, *view: float) -> tuple:
        """Show a new image, or say why not."""
        nothing = (None, *[None] * len(NAMES))
        if not path:
            return (None, 'cls', HINT, *nothing)
        try:
            scores, attention = self.explore.open(path)
        except (ValueError, OSError) as error:
            return (None, 'cls', f'**⚠️ {error}**', *nothing)
        text, *pictures = self.show(attention, 'cls', *view)
        return (attention, 'cls', text, scores, *pictures)

    def open_example(self, event: gr.SelectData, *view: float) -> tuple:
        """Show the example that was picked."""
        return self.open(str(self.examples[event.index]), *view)

    def show(
        self,
        attention: ImageAttention | None,
        query: str | tuple[float, float],
        layer: int,
        head: int,
        rolled: bool,
    ) -> tuple:
        """Message and pictures; layers and heads of the page begin at 1."""
        if attention is None:
            return (HINT, *[None] * len(NAMES))
        pictures, share = self.explore.pictures(
            attention,
            layer=int(layer) - 1,
            head=None if rolled or not head else int(head) - 1,
            query=query,
            rollout=rolled,
        )
        text = self._message(attention, query, share)
        return (text, *[pictures.get(name) for name in NAMES])

    def ask(
        self,
        event: gr.SelectData,
        attention: ImageAttention | None,
        *view: float,
    ) -> tuple:
        """Ask from the patch that was clicked."""
        if attention is None:
            return self.ask_cls(None, *view)
        query = self.explore.query_at(attention, *event.index)
        return (query, *self.show(attention, query, *view))

    def ask_cls(self, attention: ImageAttention | None, *view: float) -> tuple:
        """Ask from the CLS token again."""
        return ('cls', *self.show(attention, 'cls', *view))

    @staticmethod
    def _message(
        attention: ImageAttention,
        query: str | tuple[float, float],
        share: float | None,
    ) -> str:
        if query == 'cls':
            asked = 'Asked from: the CLS token.'
        else:
            x, y = (int(each) // attention.patch_size for each in query)
            asked = f'Asked from: the patch in row {y + 1}, column {x + 1}.'
        if share is None:
            return asked
        return f'{asked} LORE: {share:.1%} of the attention is on prompts.'

    def build(self, title: str) -> gr.Blocks:
        """Lay the page out."""
        with gr.Blocks(title='LORE', analytics_enabled=False) as blocks:
            gr.Markdown(f'# LORE\n`{title}`. {INTRO}')
            state, query = gr.State(None), gr.State('cls')
            with gr.Row():
                with gr.Column(scale=3, min_width=300):
                    upload = gr.File(
                        label='Image', elem_id='upload', height=130
                    )
                    gallery = self._gallery()
                with gr.Column(scale=2, min_width=300):
                    classes = gr.Label(
                        label='Classes',
                        elem_id='classes',
                        num_top_classes=self.explore.topk,
                    )
            message = gr.Markdown(HINT, elem_id='message')
            with gr.Row():
                images = self._images()
            controls = self._controls()
            cls, *moves = controls
            opened = [state, query, message, classes, *images]
            upload.change(self.open, [upload, *moves], opened)
            if gallery is not None:
                gallery.select(self.open_example, moves, opened)
            quick = dict(show_progress='hidden', trigger_mode='always_last')
            gr.on(
                [move.change for move in moves],
                self.show,
                [state, query, *moves],
                [message, *images],
                **quick,
            )
            asked = [query, message, *images]
            for image in images:
                image.select(self.ask, [state, *moves], asked, **quick)
            cls.click(self.ask_cls, [state, *moves], asked, **quick)
        return blocks

    def _gallery(self) -> gr.Gallery | None:
        shown = read_thumbnails(self.examples, THUMBNAIL)
        self.examples = list(shown)  # clicks count what is shown
        if not shown:
            return None
        return gr.Gallery(
            list(shown.values()),
            label='Examples',
            elem_id='examples',
            columns=6,
            height='auto',
            allow_preview=False,
            interactive=False,
            buttons=[],
        )

    def _images(self) -> list[gr.Image]:
        return [
            gr.Image(
                label=label,
                elem_id=f'map-{name}',
                elem_classes='map',
                format='jpeg',  # PNG takes far longer
                interactive=False,
                buttons=[],
                min_width=150,
                visible=name not in self._absent(),
            )
            for name, label in zip(NAMES, LABELS, strict=True)
        ]

    def _absent(self) -> set[str]:
        """Maps that the model cannot have."""
        model = self.explore.classify.model
        if getattr(model.backbone, 'white_box', True) is None:
            return {'KLA', 'LORE'}
        attention = getattr(getattr(model, 'neck', None), 'attention', None)
        return set() if attention is not None else {'KLA'}

    def _controls(self) -> tuple:
        number, heads = self.explore.num_layers, self.explore.num_heads
        with gr.Row():
            layer = gr.Slider(
                1, number, number, step=1, label='Layer', elem_id='layer'
            )
            head = gr.Slider(
                0,
                heads,
                0,
                step=1,
                label='Head (0: mean)',
                elem_id='head',
            )
        with gr.Row(equal_height=True):
            rolled = gr.Checkbox(
                label='Rollout up to this layer (all heads)', elem_id='rollout'
            )
            cls = gr.Button('Ask from CLS again', elem_id='cls')
        return cls, layer, head, rolled


def main() -> None:
    args = parse_args()
    explore = ImageExplorer(
        args.config, args.checkpoint, args.device, args.cfg_options, args.topk
    )
    examples = explore.examples()
    if args.examples:
        found = [path for each in args.examples for path in list_images(each)]
        examples = [Path(path) for path in found]
    blocks = Page(explore, examples).build(args.config)
    _, address, public = blocks.launch(
        server_name=args.host,
        server_port=args.port,
        share=args.share == 'on',
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=MAX_SIZE,
        state_session_capacity=MAX_SESSIONS,
        footer_links=[],
        ssr_mode=False,
        css=CSS,
        theme=gr.themes.Default(
            font=['system-ui', 'sans-serif'],
            font_mono=['ui-monospace', 'monospace'],
        ),
    )
    print(f'The page is at {public or address} (Ctrl+C ends it)', flush=True)
    blocks.block_thread()


if __name__ == '__main__':
    run_main(main)
