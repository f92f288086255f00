"""The command `reconcile`."""

from pathlib import Path

from melanoma_exp.cli.arguments import Parser, compose_storage
from melanoma_exp.spec import UserError


def reconcile(words: list[str]) -> None:
    """[tracking=...]: marks runs as KILLED that are recorded as running but have no process."""
    example = "melanoma-exp reconcile tracking.folder=mlruns"
    parser = Parser("reconcile", reconcile.__doc__, example)
    _, overrides = parser.split(words)
    from melanoma_exp.run import one_writer
    from melanoma_exp.system import provenance

    tracking = compose_storage("reconcile", overrides).tracking
    archive = tracking.archive()
    running = archive.search("attributes.status = 'RUNNING'")
    for run in running:
        owner = run.tags.get("process", "")
        alive = provenance.is_alive(owner)
        if alive is False:
            try:
                with one_writer.of_run(tracking, Path(), run.id):
                    archive.mark_killed(run.id)
            except UserError as error:  # somebody resumes it
                print(error.lines[0])
            else:
                print(f"{run.id} {run.name}: its process is gone, marked KILLED")
        elif alive:
            print(f"{run.id} {run.name}: is running")
        else:
            machine = owner.split(":")[0] or "an unknown machine"
            print(f"{run.id} {run.name}: was started on {machine}, left as it is")
    if not running:
        print("no run is recorded as running")
