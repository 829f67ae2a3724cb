"""`tcclip demo`: the options of the page, its server, and its end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tc_clip_pl.cli.arguments import parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.model_option import load_recognizer, name_model
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    import gradio
    from jsonargparse import Namespace

HELP = """\
tcclip demo [--model SOURCE] [--port N]:
a local web page: drop a video or record one, type words, see the answers

  tcclip demo
  tcclip demo --model outputs/few_shot_hmdb/version_0 --port 8000

Shows ranked answers, the timeline of a long video, the attention over the
frames, and timings. Only this computer reaches the page (127.0.0.1), nothing
leaves it, and uploads are deleted at the end. Ctrl-C ends it. Needs Gradio:
pip install 'gradio>=6,<7'.

  --model SOURCE            a run folder, a checkpoint, a folder of `tcclip
                            convert`, a hub name; a plain CLIP answers
                            zero-shot. Default: world, the small CLIP of the
                            generated world that comes with the package
  --port N                  of the page (7860)
  --max_mb N                largest upload, in megabytes (200)
  --max_seconds N           longest video (600)"""

OPTIONS = {"model": (str, None), "port": (int, 7860), "max_mb": (float, 200.0), "max_seconds": (float, 600.0)}
"""Option -> type and default."""
ADDRESS = "127.0.0.1"
MAX_PORT = 65535
# Gradio reads them when it is imported.
QUIET_GRADIO = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def demo(argv: list[str]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        argv: Arguments after `tcclip demo`; see `HELP`.

    Raises:
        UserError: The arguments are wrong, the port is in use, or Gradio is not installed.
        OSError, ValueError: There is no such model.
    """
    options = _parse(argv)
    _check_port(options.port)
    with TemporaryDirectory(prefix="tcclip-demo-") as uploads:
        os.environ.update(QUIET_GRADIO, GRADIO_TEMP_DIR=uploads)
        _serve(_build(options), options)


def _parse(argv: list[str]) -> Namespace:
    options = parse_arguments(argv, {}, OPTIONS)
    if not 0 < options.port <= MAX_PORT:
        raise UserError(f"--port is {options.port}; it must be between 1 and {MAX_PORT}.")
    for name in ("max_mb", "max_seconds"):
        if options[name] <= 0:
            raise UserError(f"--{name} is {options[name]:g}; it must be a positive number.")
    return options


def _check_port(port: int) -> None:
    """Check that the port is free, before seconds are spent on the model."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just given back is free
        try:
            server.bind((ADDRESS, port))
        except OSError as error:
            raise UserError(f"Port {port} cannot be opened ({error.strerror}): name another by --port N.") from error


def _build(options: Namespace) -> gradio.Blocks:
    with announced("Loading PyTorch and Gradio ..."):
        from tc_clip_pl.cli.library_logging import silence_library_logs

        try:
            from tc_clip_pl.cli.page.layout import build_page
        except ModuleNotFoundError as error:
            if error.name != "gradio":
                raise
            raise UserError("tcclip demo needs Gradio, which is not installed: pip install 'gradio>=6,<7'.") from error
        from tc_clip_pl.cli.page.request import Limits
    silence_library_logs()
    options.model = name_model(options.model)
    return build_page(load_recognizer(options), options.model, Limits(options.max_mb, options.max_seconds))


def _serve(page: gradio.Blocks, options: Namespace) -> None:
    import gradio as gr

    from tc_clip_pl.cli.page.layout import STYLE
    from tc_clip_pl.cli.page.request import MEGABYTE

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` deletes the uploads too
    try:
        page.launch(
            server_name=ADDRESS,
            server_port=options.port,
            share=False,
            max_file_size=int(options.max_mb * MEGABYTE),
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            css=STYLE,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=False,
            inbrowser=False,
            quiet=True,
            prevent_thread_lock=True,
        )
        print(f"http://{ADDRESS}:{options.port} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
    finally:
        page.close(verbose=False)
