"""The option `ensemble`: the mean of several trained networks' probabilities.

No run trains it: `melanoma-exp ensemble` writes the config, so there is no YAML of it.
"""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import SerializeAsAny, ValidationInfo, WithJsonSchema, field_validator
from pydantic.functional_validators import PlainValidator

from melanoma_exp.models import resizing
from melanoma_exp.models.base import Model
from melanoma_exp.models.inference import Inference
from melanoma_exp.spec import Spec, UserError
from melanoma_exp.system.extensions.group import Group

if TYPE_CHECKING:
    import keras


def _option(value: Any, info: ValidationInfo) -> Any:
    """Checks a member's network; the union of the group is complete only after this module."""
    return Group.known["model"].check(value, info)


# Serialised with the fields of the option that it is.
AnyNetwork = Annotated[
    SerializeAsAny[Model], PlainValidator(_option), WithJsonSchema({"type": "object"})
]


class Member(Spec):
    """A trained network of an ensemble, as its own run recorded it.

    Attributes:
        run_id: Of the run that trained it.
        name: Of that run.
        model: Its network.
        inference: The views that it predicts from.
        image_size: Height and width of the images that it was trained on, in pixels; those of the
            ensemble are resized to it.
        weights_sha256: Of its own file of weights.
    """

    run_id: str
    name: str
    model: AnyNetwork
    inference: Inference
    image_size: tuple[int, int]
    weights_sha256: str


class Ensemble(Model):
    """The mean of the members' class probabilities, all members weighted alike.

    Soft voting (Lakshminarayanan et al., Simple and scalable predictive uncertainty estimation
    using deep ensembles, NeurIPS 2017). A logit is the logarithm of a mean probability, so a
    softmax gives the mean back and everything behind the network works as for any other.

    Attributes:
        members: In the order of the nested models `member1`, `member2`, ...
    """

    kind: Literal["ensemble"]
    members: tuple[Member, ...]

    @field_validator("members")
    @classmethod
    def _are_several(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        if len(members) < 2:
            raise ValueError(f"members: an ensemble has at least 2 (got {len(members)})")
        return members

    def settle(self, resumed: bool) -> Self:
        """Refuses to be trained: its members are trained already.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "model=ensemble: is made of finished runs and not trained; make it again with: "
            f"melanoma-exp ensemble {' '.join(member.run_id for member in self.members)}"
        )

    def identity(self) -> dict[str, Any]:
        """Returns what determines predictions: the members' networks, views and weights."""
        members = [
            {
                **member.model_dump(mode="json", exclude={"run_id", "name"}),
                "model": member.model.identity(),
            }
            for member in self.members
        ]
        return {**self.model_dump(mode="json"), "members": members}

    def views(self, height: int, width: int) -> int:
        """Returns the largest number of views of a member."""
        return max(member.inference.count(*member.image_size) for member in self.members)

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the members and the mean of their probabilities, with fresh weights.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Returns:
            A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes).
        """
        import keras
        from keras import ops

        images = keras.Input(image_shape, dtype="uint8", name="images")
        chances = []
        for k, member in enumerate(self.members):
            inner = member.model.build((*member.image_size, 3), num_classes)
            network = keras.Model(inner.inputs[0], inner.outputs[0], name=member_name(k))
            viewed = member.inference.wrap(network)
            height, width, _ = image_shape
            logits = resizing.wrap(viewed, height, width, f"{member_name(k)}_resized")(images)
            chances.append(ops.log_softmax(logits, axis=-1))
        stacked = ops.stack(chances, axis=1)
        # The logarithm of the mean of exponentials, relative to the largest, so that none is 0.
        top = ops.max(stacked, axis=1, keepdims=True)
        mean = ops.log(ops.mean(ops.exp(stacked - top), axis=1))
        logits = mean + ops.squeeze(top, axis=1)
        return keras.Model(images, logits, name=self.name.replace("-", "_"))

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        kinds = Counter(member.model.name for member in self.members)
        names = ", ".join(f"{count} x {name}" for name, count in kinds.items())
        return {"network": f"mean probability of {len(self.members)} networks: {names}"}

    def gradcam_network(self, model: "keras.Model") -> "keras.Model":
        """Returns the first member that takes the ensemble's images as they are.

        Maps of several networks have no common layer.
        """
        k = self.explained(model.input_shape[1:3])
        network = member_network(model, k)
        views: list[keras.Model] = [x for x in network.layers if x.name == member_name(k)]
        return self.members[k].model.gradcam_network(views[0] if views else network)

    def gradcam_layer(self, model: "keras.Model") -> str:
        """Returns the layer of the member that is explained."""
        return self.members[self.explained(model.input_shape[1:3])].model.gradcam_layer(model)

    def explained(self, image_size: tuple[int, int]) -> int:
        """Returns the position of the member that Grad-CAM explains.

        Args:
            image_size: Height and width of the ensemble's images; a member has the same.
        """
        return [tuple(member.image_size) for member in self.members].index(tuple(image_size))


def member_name(position: int) -> str:
    """Returns the name of the member at a position, which counts from 0."""
    return f"member{position + 1}"


def member_network(model: "keras.Model", position: int) -> "keras.Model":
    """Returns a member with its views, from the ensemble's images uint8 (b, h, w, 3) to (b, c).

    Args:
        model: What `build` of an ensemble returned.
        position: Of the member, from 0.
    """
    name = member_name(position)
    own = (name, f"{name}_views", f"{name}_resized")
    found: keras.Model = next(layer for layer in model.layers if layer.name in own)
    return found
