"""The options of the group `distribution`: training on several devices, processes and machines."""

from typing import Annotated

from pydantic import Field

from melanoma_exp.distribution.mirrored import Mirrored
from melanoma_exp.distribution.multi_worker import MultiWorker
from melanoma_exp.distribution.parameter_server import ParameterServer
from melanoma_exp.distribution.single import Single
from melanoma_exp.distribution.tpu import Tpu

AnyDistribution = Annotated[
    Single | Mirrored | MultiWorker | Tpu | ParameterServer, Field(discriminator="kind")
]
