"""The option `parameter_server`, which is refused."""

from typing import Literal

from melanoma_exp.distribution.base import Distribution
from melanoma_exp.spec import UserError


class ParameterServer(Distribution):
    """Refused, and here only to say why."""

    kind: Literal["parameter_server"]

    def check_environment(self) -> None:
        """Refuses.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "distribution=parameter_server applies gradients whenever they arrive, so no run could "
            "be repeated, and Keras 3 cannot train with it; use distribution=multi_worker"
        )
