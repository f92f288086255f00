"""Counts what a network costs, from the graph that Keras exports."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Element-wise operations, reductions and data movement: by convention they are not counted.
CHEAP = re.compile(
    "Placeholder|Const|.*VariableOp|Identity.*|NoOp|Cast|Bitcast|Shape|Size|Rank|Reshape|Squeeze|"
    "ExpandDims|Transpose|Concat.*|Split.*|Pack|Unpack|Slice|StridedSlice|Gather.*|Pad.*|Mirror.*|"
    "Tile|Broadcast.*|Range|Fill|ZerosLike|OnesLike|OneHot|Reverse.*|Roll|Resize.*|SpaceTo.*|"
    "BatchTo.*|DepthTo.*|StopGradient|CheckNumerics|Assert|BiasAdd|Add.*|Sub|Mul.*|.*Div.*|Neg|"
    "Reciprocal|Inv|Square.*|Sqrt|Rsqrt|Pow|Exp|Expm1|Log.*|Abs|Sign|Floor.*|Ceil|R[io]nt|Round|"
    "Mod|Maximum|Minimum|Clip.*|Select.*|Where|Greater.*|Less.*|Equal|NotEqual|Is.*|Sin|Cos|Tanh|"
    "Atan.*|Erf.*|Sigmoid|Relu.*|LeakyRelu|Elu|Selu|Soft.*|FusedBatchNorm.*|L2.*|LRN|.*Pool.*|"
    "Sum|Mean|Prod|Max|Min|All|Any|Arg.*|TopK.*|Cum.*|Stateless.*Random.*|StatelessRandom.*"
)


@dataclass(frozen=True)
class Cost:
    """The cost of a forward pass of one image.

    Attributes:
        multiply_adds: In convolutions, dense layers, matrix products and attention. Biases,
            normalisation, pooling and activations are left out, as is usual: they are below 1 % of
            common networks.
        parameters: All weights.
        uncounted: Kinds of operations that may be expensive and are not counted, sorted.
    """

    multiply_adds: int
    parameters: int
    uncounted: tuple[str, ...] = ()

    @property
    def flops(self) -> int:
        """Floating-point operations, two a multiply-add."""
        return 2 * self.multiply_adds


def measure(model: "keras.Model") -> Cost:
    """Counts multiply-adds and weights of any network.

    The graph is traced for one image and never run: 0.07 s for M2 at 180x180, where TensorFlow's
    profiler takes 1.6 s and warns. It knows nested models, shared layers and operations without a
    layer.

    Args:
        model: Built; left as it was.
    """
    import keras

    archive = keras.export.ExportArchive()
    archive.track(model)
    one = tuple(keras.InputSpec(shape=(1, *x.shape[1:]), dtype=x.dtype) for x in model.inputs)
    forward = archive.add_endpoint("forward", model.call, [one if len(one) > 1 else one[0]])
    multiply_adds, uncounted = _count(forward.get_concrete_function().graph)
    return Cost(multiply_adds, model.count_params(), tuple(sorted(uncounted)))


def _count(graph: Any) -> tuple[int, set[str]]:
    """Returns the multiply-adds of a TensorFlow graph and the kinds that are not counted."""
    total, uncounted = 0, set[str]()
    for operation in graph.get_operations():
        if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
            inner = graph._get_function(operation.get_attr("f").name).graph
            work, unknown = _count(inner)
            total, uncounted = total + work, uncounted | unknown
        elif (counted := _multiply_adds(operation)) is not None:
            total += counted
        elif not CHEAP.fullmatch(operation.type):
            uncounted.add(operation.type)
    return total, uncounted


def _multiply_adds(operation: Any) -> int | None:
    """Returns the multiply-adds of an operation, None where its kind is not known."""
    shapes = [list(tensor.shape) for tensor in operation.inputs]
    out = math.prod(operation.outputs[0].shape) if operation.outputs else 0
    match operation.type:
        case "Conv2D" | "Conv3D":  # the kernel has the input channels of one group
            return out * math.prod(shapes[1][:-1])
        case "DepthwiseConv2dNative":
            return out * math.prod(shapes[1][:2])
        case "Conv2DBackpropInput" | "Conv3DBackpropInputV2":  # transposed convolutions
            return math.prod(shapes[2]) * math.prod(shapes[1][:-1])
        case "MatMul":
            return out * shapes[0][0 if operation.get_attr("transpose_a") else 1]
        case "BatchMatMulV2" | "BatchMatMulV3":
            return out * shapes[0][-2 if operation.get_attr("adj_x") else -1]
        case "Einsum":
            terms, _, result = operation.get_attr("equation").decode().partition("->")
            sizes: dict[str, int] = {}
            for term, shape in zip(terms.split(","), shapes, strict=True):
                before, _, after = term.partition("...")
                sizes |= dict(zip(before, shape, strict=False))
                sizes |= dict(zip(reversed(after), reversed(shape), strict=False))
            summed = [size for axis, size in sizes.items() if axis not in result]
            return out * math.prod(summed) if "," in terms else 0
    return None
