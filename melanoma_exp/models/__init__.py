"""The options of the group `model`: networks from uint8 images (b, h, w, 3) to float32 logits."""

from melanoma_exp.models.cnn import Cnn

# With a second architecture: `Annotated[Cnn | Other, Field(discriminator="kind")]`.
AnyModel = Cnn
