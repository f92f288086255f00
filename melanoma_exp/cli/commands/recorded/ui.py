"""The command `ui`."""

from contextlib import suppress

from melanoma_exp.cli.arguments import READS_RUN, Parser, compose_storage
from melanoma_exp.spec import UserError

DETAILS = """Starts MLflow's server on the store where runs are recorded, for this machine alone
(127.0.0.1), and prints the address of the runs table of the experiment. Ctrl-C ends it, and leaves
no process. With tracking=server it starts nothing and prints the address there.

Useful columns: final/val/balanced_accuracy, final/val/melanoma_auc, leaky, seconds/fit. Curves of a
run are below train/ and val/ in its "Model metrics"; report.html among its artifacts has them all
on one page. Choose by validation: whoever chooses by test figures has no test any more."""


def ui(words: list[str]) -> None:
    """[tracking=...]: shows recorded runs in MLflow's pages."""
    parser = Parser("ui", ui.__doc__, "melanoma-exp ui tracking.folder=mlruns")
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.epilog = f"{parser.epilog}{READS_RUN}"
    parser.add_argument(
        "--port",
        type=int,
        metavar="N",
        help="to listen on (default: 5000, or a free one where that is taken)",
    )
    given, overrides = parser.split(words)
    if given.port is not None and not 0 <= given.port < 2**16:
        raise UserError(f"ui: --port is a number from 0 to 65535 (got {given.port})")
    here = compose_storage("ui", overrides)
    from melanoma_exp.tracking.upkeep import ui as pages

    uri, experiment = here.tracking.describe(), here.tracking.archive().experiment_id()
    if here.tracking.kind == "server":
        print(pages.runs_page(uri.rstrip("/"), experiment))
        return
    port = pages.choose_port(given.port)
    print("starting MLflow's server ...", flush=True)
    with suppress(KeyboardInterrupt), pages.serving(uri, port) as server:
        print(f"runs: {pages.runs_page(f'http://{pages.HOST}:{port}', experiment)}")
        print("Ctrl-C ends it", flush=True)
        if code := server.wait():
            raise UserError(f"ui: MLflow's server ended by itself, with code {code}")
