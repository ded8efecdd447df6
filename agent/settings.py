"""Settings: TOML with drop-ins, environment, systemd credentials.

    /etc/compute-agent/agent.toml, then /etc/compute-agent/conf.d/*.toml in order   (lowest)
    systemd credentials: $CREDENTIALS_DIRECTORY/amqp__url, ...
    COMPUTE_AGENT_AMQP__URL=..., nested by "__"                                      (highest)

The docstring under each field is its documentation: unit, default, why. `--print-default-config` and the
reference page are made from it. An unknown key is refused with the nearest right name.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from agent.names import Names
from agent.settings_broker import Amqp as Amqp
from agent.settings_broker import Group

CONFIG_FILE = Path("/etc/compute-agent/agent.toml")
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$")]


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("an absolute path, as in /var/lib/compute-agent")
    return path


# Compared with what libvirt and the mounts call things, and told to QEMU, which runs elsewhere.
StateDir = Annotated[Path, AfterValidator(_absolute)]
AmqpName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,127}$")]


class Rpc(Group):
    """Names and kinds of what is declared on the broker; see the reference on messages."""

    exchange: AmqpName = "compute"
    """Topic exchange of the commands. OpenStack users set `nova` or `openstack`."""
    exchange_durable: bool = True
    """Must match what other users of the exchange declare; a mismatch is found and told at start."""
    topic: AmqpName = "compute"
    """First part of the queues' names."""
    queue_type: Literal["quorum", "classic"] = "quorum"
    """Of the commands' queue. Quorum queues survive the loss of a broker node."""
    durable: bool = True
    """Whether the commands' queue survives a restart of the broker; quorum queues always do."""
    prefetch: int = Field(default=64, ge=2, le=1000)
    """Deliveries held unacknowledged; each is acknowledged as soon as it is journaled."""
    max_message_bytes: int = Field(default=1024 * 1024, ge=1024, le=128 * 1024 * 1024)
    """Bytes. A larger message is refused unread."""
    check_interval_s: float = Field(default=5, ge=0.05, le=300)
    """Seconds between two messages that the agent sends itself through the broker, to notice within three of them
    that nothing comes through any more. Each third time it also looks that all it declared is there."""
    shared_spawn: bool = False
    """Take `spawn` on the shared queue too. Journals are per host, so a repeat may reach another host."""
    events_queue: bool = True
    """Declare the durable queue `compute.events`, so that a scheduler that starts later gets the events."""
    dead_letter_ttl_s: int = Field(default=14 * 24 * 3600, ge=60)
    """Seconds that a parked message is kept."""


class Notifications(Group):
    """Events once more, as notifications of oslo.messaging, for listeners such as Ceilometer's."""

    enabled: bool = False
    """Publish each durable event as a notification too, on `rpc.exchange`. A queue that no listener reads fills
    without an end, as with oslo's own notifier: bound it by a policy of the broker."""
    topic: AmqpName = "notifications"
    """First part of the queues' names, `<topic>.info` and `<topic>.error`; they are durable if the exchange is."""
    queue_type: Literal["classic", "quorum"] = "classic"
    """Must match what the listeners declare: `quorum` where they have `rabbit_quorum_queue`."""


class Hypervisor(Group):
    """Where the guests run."""

    driver: Literal["libvirt", "fake"] = "libvirt"
    """`fake` keeps a world of make-believe guests in the state directory: for trying a scheduler."""
    uri: str = "qemu:///system"
    """libvirt's URI."""
    username: str | None = None
    """Name to log in to libvirt with, over SASL; without it the socket's permissions decide."""
    password: SecretStr | None = None
    """Its password; a secret, so best given as a credential."""
    virt_type: Literal["auto", "kvm", "qemu"] = "auto"
    """`auto` takes KVM where a probe guest really boots with it, QEMU's own emulation otherwise."""
    keepalive_interval_s: int = Field(default=5, ge=1)
    """Seconds between libvirt keepalive messages."""
    keepalive_count: int = Field(default=3, ge=1)
    """Unanswered keepalives after which the connection counts as dead."""
    query_timeout_s: float = Field(default=10, gt=0)
    """Seconds for a libvirt call that only reads."""
    short_timeout_s: float = Field(default=60, gt=0)
    """Seconds for a libvirt call that changes something at once (define, attach, pause)."""
    long_timeout_s: float = Field(default=600, gt=0)
    """Seconds for a libvirt call that moves data (save, restore) or starts a guest."""
    detach_timeout_s: float = Field(default=60, gt=0)
    """Seconds a guest has to let go of a device before the detach is said to have failed."""
    lane_size: int = Field(default=4, ge=1, le=32)
    """Threads, each with its own connection, in each lane: queries, what a guest must answer, short work, long."""


class Storage(Group):
    """Images, instances' disks, volumes."""

    allowed_directories: tuple[Path, ...] = (Path("/var/lib/compute-agent/images"), Path("/dev"))
    """Where images and volumes named by a path may lie; links are followed before the check."""
    image_cache_max_mb: int = Field(default=50 * 1024, ge=1)
    """MiB of cached images above which unused ones are removed, longest unused first."""
    image_max_mb: int = Field(default=100 * 1024, ge=1)
    """MiB; a larger image isn't fetched."""
    reserve_mb: int = Field(default=1024, ge=0)
    """MiB of the file system that are never given to disks."""


class Operations(Group):
    """Bounds on the work."""

    max_pending: int = Field(default=1000, ge=1)
    """Operations accepted and unfinished; past that, commands wait in the broker."""
    max_waiting_per_instance: int = Field(default=16, ge=1)
    """Operations that wait for their turn on one instance; one more is `busy`."""
    spawn_timeout_s: float = Field(default=1800, gt=0)
    """Seconds a spawn may take, image download included."""
    operation_timeout_s: float = Field(default=900, gt=0)
    """Seconds any other operation may take."""
    resume_guests_after_boot: bool = False
    """Start the guests that ran when the host went down, once it is back. Only where nobody starts them elsewhere
    meanwhile."""


class Journal(Group):
    """What the agent remembers."""

    key: SecretStr | None = None
    """Fernet key (32 bytes in URL-safe base64) that seals the secrets of operations under way; a secret, so best
    given as a credential. Default: `journal.key` in the state directory, made at the first start."""
    retention_s: int = Field(default=7 * 24 * 3600, ge=3600)
    """Seconds that first answers and ended operations are kept."""
    max_operations: int = Field(default=100_000, ge=100)
    """Ended operations kept at most."""
    max_events: int = Field(default=100_000, ge=100)
    """Events kept for `replay_events` at most."""
    outbox_limit: int = Field(default=200_000, ge=100)
    """Answers and events the broker hasn't confirmed; at the bound new changes are `unavailable`."""


class Log(Group):
    """What is written to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto`: readable on a terminal, JSON elsewhere."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="COMPUTE_AGENT_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    host: HostName = Field(default_factory=socket.gethostname)
    """Name of this host in queues and events; default the system's host name. Pinned in the journal."""
    state_dir: StateDir = Path("/var/lib/compute-agent")
    """Journal, image cache, instances; locked by one agent."""
    report_interval_s: float = Field(default=60, gt=0)
    """Seconds between `compute.host.report` events."""
    amqp: Amqp = Amqp()
    rpc: Rpc = Rpc()
    notifications: Notifications = Notifications()
    hypervisor: Hypervisor = Hypervisor()
    storage: Storage = Storage()
    operations: Operations = Operations()
    journal: Journal = Journal()
    log: Log = Log()

    @field_validator("host")
    @classmethod
    def _host_names_no_other_queue(cls, host: str) -> str:
        Names(host=host)  # raises ValueError
        return host

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if (credentials := os.environ.get("CREDENTIALS_DIRECTORY")) is not None:
            sources.append(
                NestedSecretsSettingsSource(
                    file_secret_settings,
                    secrets_dir=credentials,
                    secrets_nested_delimiter="__",
                    secrets_prefix="",
                )
            )
        sources.append(TomlConfigSettingsSource(settings_cls, toml_files(), deep_merge=True))
        return tuple(sources)


def toml_files() -> list[Path]:
    """The main file and its drop-ins, those that are there. `COMPUTE_AGENT_CONFIG` names another main file."""
    main = Path(os.environ.get("COMPUTE_AGENT_CONFIG", CONFIG_FILE))
    drop_ins = sorted((main.parent / "conf.d").glob("*.toml"))
    return [path for path in (main, *drop_ins) if path.is_file()]


def load(**overrides: Any) -> Settings:
    """Raises pydantic's ValidationError; `settings_errors.explain` makes it readable."""
    return Settings(**overrides)
