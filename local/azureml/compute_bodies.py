"""The body of a compute."""

from msgspec import UNSET, UnsetType

from local.azureml.bodies import (
    Anything,
    Duration,
    Flag,
    Identity,
    OsType,
    Part,
    Sku,
    Some,
    Text,
    Texts,
    Word,
)
from local.azureml.workspace import Count
from local.names import LOCATION


class ComputeType(Word):
    """Kinds of compute that batch deployments run on."""

    CLUSTER = "AmlCompute"


class VmPriority(Word):
    """Whether nodes can be preempted."""

    DEDICATED = "Dedicated"
    LOW = "LowPriority"


class PortAccess(Word):
    """Whether nodes can be reached by SSH."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    NOT_SPECIFIED = "NotSpecified"


class ScaleSettings(Part, kw_only=True):
    """How many nodes a cluster has."""

    max_node_count: Count
    min_node_count: Count = 0
    node_idle_time_before_scale_down: Duration = "PT120S"


class ResourceId(Part, kw_only=True):
    """A reference to something outside the workspace."""

    id: Some


class UserAccount(Part, kw_only=True):
    """Who may log in to a node."""

    admin_user_name: Some
    admin_user_password: Text = UNSET
    admin_user_ssh_public_key: Text = UNSET


class ClusterProperties(Part, kw_only=True):
    """A cluster of virtual machines."""

    vm_size: Some
    os_type: OsType = OsType.LINUX
    vm_priority: VmPriority = VmPriority.DEDICATED
    scale_settings: ScaleSettings | UnsetType = UNSET
    remote_login_port_public_access: PortAccess = PortAccess.NOT_SPECIFIED
    enable_node_public_ip: bool = True
    isolated_network: Flag = UNSET
    virtual_machine_image: ResourceId | UnsetType = UNSET
    subnet: ResourceId | UnsetType = UNSET
    user_account_credentials: UserAccount | UnsetType = UNSET
    property_bag: Anything = UNSET


class ComputeProperties(Part, kw_only=True):
    """A compute for deployments; stored and returned, nothing runs on it."""

    compute_type: ComputeType
    properties: ClusterProperties
    description: Text = UNSET
    compute_location: Text = UNSET
    disable_local_auth: Flag = UNSET
    resource_id: Text = UNSET


class Compute(Part, kw_only=True):
    """The body of a compute; its default location is that of the workspace."""

    location: Some = LOCATION
    tags: Texts = UNSET
    identity: Identity | UnsetType = UNSET
    sku: Sku | UnsetType = UNSET
    properties: ComputeProperties
