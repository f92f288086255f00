"""The union of a config group's options, which classes from outside this package may join."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from melanoma_exp.spec import Spec


class Absent(BaseModel):
    """An option of an extension that is not loaded, where a caller does not need it.

    It holds the recorded values and does nothing.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_lists(cls, content: Any) -> Any:
        """Gives tuples for lists, as specs have them."""
        return {key: _frozen(value) for key, value in content.items()}


class Group:
    """Marks the union of a group's options; classes of loaded extensions belong to it too.

    Stands where `Field(discriminator="kind")` would stand, and gives the same values and errors:

        AnyModel = Annotated[Cnn | ResNet, Group("model", Model)]

    Attributes:
        name: Of the config group, or what its options are called in messages.
        base: The class that every option derives from.
        extensions: Classes that joined, by their kind.
    """

    known: ClassVar[dict[str, "Group"]] = {}

    def __init__(self, name: str, base: type[Spec]) -> None:
        """Makes the group known to extensions; `base` is the class they derive from."""
        self.name, self.base = name, base
        self.extensions: dict[str, type[Spec]] = {}
        self._own: tuple[type[Spec], ...] = ()
        self._adapters: dict[tuple[type[Spec], ...], TypeAdapter[Any]] = {}
        Group.known[name] = self

    @property
    def options(self) -> dict[str, type[Spec]]:
        """All classes by kind, those of this package first."""
        return {kind: cls for cls in self._own for kind in kinds_of(cls)} | self.extensions

    def classes(self) -> Iterator[type[Spec]]:
        """Gives every class that derives from the base, those of a narrower group left out."""
        narrower = [
            group.base
            for group in Group.known.values()
            if group.base is not self.base and issubclass(group.base, self.base)
        ]
        for cls in _subclasses(self.base):
            if not any(issubclass(cls, base) for base in narrower):
                yield cls

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Checks values when they are there: extensions join after this class is made."""
        self._own = get_args(source) or (source,)
        return core_schema.with_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        """Describes the union as it is now."""
        return handler(self._adapter().core_schema) if self.options else {"type": "object"}

    def check(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        """Returns the option that a value describes; for a field that cannot name the union.

        Args:
            value: An option, or its fields.
            info: Of pydantic; its context names the kinds that may be absent.

        Raises:
            ValueError: It describes none.
        """
        if isinstance(value, self.base):
            return value
        kind = value.get("kind") if isinstance(value, Mapping) else None
        absent = isinstance(kind, str) and kind not in self.options
        if absent and f"{self.name}={kind}" in (info.context or ()):
            return Absent.model_validate(value)
        if not self.options:
            raise ValueError("no option is known; name the file that defines one: extend=my_lab.py")
        return self._adapter().validate_python(value, context=info.context)

    def _adapter(self) -> TypeAdapter[Any]:
        members = tuple(dict.fromkeys(self.options.values()))
        if members not in self._adapters:
            union: Any = members[0]
            for member in members[1:]:
                union = union | member
            if len(members) > 1:
                union = Annotated[union, Field(discriminator="kind")]
            self._adapters[members] = TypeAdapter(union)
        return self._adapters[members]


def kinds_of(cls: type[BaseModel]) -> tuple[str, ...]:
    """Returns the values that `kind: Literal[...]` allows; none for a class that is no option."""
    field = cls.model_fields.get("kind")
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def specs_within(value: Any) -> Iterator[Spec]:
    """Gives a spec and every spec that its fields hold, outer ones first."""
    if isinstance(value, Spec):
        yield value
        for name in type(value).model_fields:
            yield from specs_within(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from specs_within(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from specs_within(item)


def _subclasses(cls: type[Spec]) -> dict[type[Spec], None]:
    found: dict[type[Spec], None] = {}
    for child in cls.__subclasses__():
        found |= {child: None, **_subclasses(child)}
    return found


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
