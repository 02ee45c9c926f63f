"""The command line: one verb for each step of the road, each a thin layer over a function of the package."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from cyclopts import App, CycloptsError, Parameter

from convscope import __version__
from convscope.core.errors import ConvscopeError

COMMANDS = {
    "scan": "Look at images before any training: unreadable, odd, duplicate or mislabelled ones.",
    "labels": "Find images whose labels are probably wrong, by networks that never saw them.",
    "train": "Train a network; with nothing else said, on the bundled Fashion-MNIST.",
    "evaluate": "Measure a trained network on its test images or on others.",
    "predict": "Predict files and folders.",
    "explain": "Show why a network answers so, with heat maps and how far to believe them, or what "
    "it learned.",
    "compare": "Set runs side by side, or train networks under one budget and compare those.",
    "summary": "Show a network layer by layer; without a name, list the networks.",
}

# Read when torch is loaded. Its threads spin while they wait for each other: beside one other busy program,
# two of them trained at a tenth of their rate with libgomp's count of 300,000, and at half with this one.
STARTED_WITH = {"GOMP_SPINCOUNT": "10000"}

app = App(
    name="convscope",
    help="Train convolutional networks you can see through.",
    version=f"convscope {__version__}",
    default_parameter=Parameter(show_default=lambda default: default or None),  # () and False say nothing
    suppress_keyboard_interrupt=False,  # `main` says a word about it
    help_epilogue="A first run needs nothing: convscope train. With --debug any verb shows the traceback of "
    "an error.",
)
for _name, _help in COMMANDS.items():
    # By path: a verb, with all that it needs, is imported when it is called.
    app.command(f"convscope.commands.{_name}:{_name}", name=_name, help=_help)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, by default that of this process, and say what went wrong in one line.

    Returns:
        0 done, 1 failed, 2 a mistake in the command line, 130 Ctrl-C.

    >>> main(["--version"])
    convscope 0.2.0
    0
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    # Read before parsing: it may stand anywhere, and no verb has to declare it.
    debug = "--debug" in tokens
    _prepare_streams()
    for name, value in STARTED_WITH.items():
        # What the user has set wins.
        os.environ.setdefault(name, value)
    try:
        _run([token for token in tokens if token != "--debug"])
    except KeyboardInterrupt:
        # 128 + 2, the number of SIGINT, as shells count it.
        return _fail("stopped by Ctrl-C", 130)
    except BrokenPipeError:
        # Nobody reads any more; without this, Python complains when it flushes the rest on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if debug and not isinstance(error, CycloptsError):
            raise
        return _fail(*_message_and_code(error))
    return 0


def _run(tokens: list[str]) -> None:
    for verb in COMMANDS.keys() & set(tokens[:1]):
        app[verb].help = None  # its own help is its docstring, which says more than its line in the list
    app(tokens, exit_on_error=False, print_error=False, result_action="return_none")
    # A broken pipe shows here, where it is caught, and not when Python exits.
    sys.stdout.flush()


def _message_and_code(error: Exception) -> tuple[str, int]:
    if isinstance(error, CycloptsError):
        return f"{str(error).rstrip('.')}; see: convscope --help", 2
    if isinstance(error, ConvscopeError):
        return str(error), error.exit_code
    return f"{type(error).__name__}: {error}; this is a fault of convscope, see it with --debug", 1


def _prepare_streams() -> None:
    """Where the terminal has no sign for × or →, show something else instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        # Notebooks and tests put objects here that cannot be reconfigured.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, code: int) -> int:
    """Say what went wrong in one line."""
    # A file's name or a library's message may hold line ends.
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return code
