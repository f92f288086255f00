"""The command line: a first word without `=` is a verb, everything else is Hydra's."""

import os
import sys
from pathlib import Path

from melanoma_exp.spec import UserError


def conf_folder() -> Path:
    """Returns the folder of YAMLs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def main() -> None:
    """Runs the command line; mistakes of the user end with one line each and exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we say them in one line
    try:
        _hydra()
    except UserError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        sys.exit(2)


def _hydra() -> None:
    import hydra
    from omegaconf import DictConfig, OmegaConf

    @hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
    def job(composed: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        from melanoma_exp import config, runner

        content = OmegaConf.to_container(composed, resolve=True)
        experiment = config.parse(content)
        scores = runner.run(experiment, Path(HydraConfig.get().runtime.output_dir))
        return scores["val"]["balanced_accuracy"] if scores else None

    job()
