"""What the bodies of PUT requests share.

`asset_bodies`, `compute_bodies` and `endpoint_bodies` have the names, values and defaults of the
ARM types of api-version 2025-12-01. What the emulator does not support has no field there and is
refused as unknown: pipeline components, keys, computes other than clusters.
"""

import enum
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = str | UnsetType
Flag = bool | UnsetType
Texts = dict[str, str] | UnsetType
Anything = dict[str, Any] | UnsetType
Some = Annotated[str, Meta(min_length=1)]
Duration = Annotated[str, Meta(pattern=r"^P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$")]

P = TypeVar("P")


class Word(enum.StrEnum):
    """One of a few values; upper and lower case do not matter."""

    @classmethod
    def _missing_(cls, value: object) -> "Word | None":
        return next((one for one in cls if one.value.lower() == str(value).lower()), None)


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An object within a body."""


class Properties(Part):
    """The `properties` of a resource."""

    description: Text = UNSET
    properties: Texts = UNSET


class Body(Part, Generic[P], kw_only=True):
    """The body of a resource without a location."""

    properties: P


class IdentityType(Word):
    """Where the identity of a resource comes from."""

    NONE = "None"
    SYSTEM = "SystemAssigned"
    USER = "UserAssigned"
    BOTH = "SystemAssigned,UserAssigned"


class Identity(Part, kw_only=True):
    """The identity of a resource."""

    type: IdentityType
    user_assigned_identities: Anything = UNSET


class Sku(Part, kw_only=True):
    """A price tier; not used."""

    name: str
    tier: Text = UNSET
    size: Text = UNSET
    family: Text = UNSET
    capacity: int | UnsetType = UNSET


class TrackedBody(Part, Generic[P], kw_only=True):
    """The body of a resource with a location and tags."""

    location: Some
    tags: Texts = UNSET
    identity: Identity | UnsetType = UNSET
    kind: Text = UNSET
    sku: Sku | UnsetType = UNSET
    properties: P


class OsType(Word):
    """An operating system."""

    LINUX = "Linux"
    WINDOWS = "Windows"
