"""The life of a guest, as a service written with plain oslo.messaging leads it. Nothing of the agent is imported.

    story.py URL EXCHANGE HOST GUEST VOLUME    GUEST and VOLUME are JSON: `instance` and `connection_info`

It prints what it does. After a line RESTART somebody restarts the broker, while a call is under way and others
are made. It ends with 0 when all came about.
"""

import json
import sys
import threading
import time
from typing import Any

import oslo_messaging
from oslo_config import cfg

WAIT_S = 200


class Told:
    """Takes notifications."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, dict[str, Any]]] = []
        self.more = threading.Condition()

    def info(self, ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any) -> None:
        with self.more:
            self.all.append((publisher_id, event_type, payload))
            self.more.notify_all()

    error = info

    def wait(self, event_type: str, **wanted: Any) -> tuple[str, str, dict[str, Any]]:
        def found() -> tuple[str, str, dict[str, Any]] | None:
            return next((t for t in self.all if t[1] == event_type and wanted.items() <= t[2].items()), None)

        with self.more:
            told = self.more.wait_for(found, WAIT_S)
            if told is None:
                raise AssertionError(f"{event_type} {wanted} isn't among {[t[:2] for t in self.all]}")
            return told


class Story:
    def __init__(self, url: str, exchange: str, host: str) -> None:
        cfg.CONF([])
        oslo_messaging.set_transport_defaults(control_exchange=exchange)
        transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
        target = oslo_messaging.Target(topic=exchange, server=host, version="1.0")
        # The whole answer may take long; a sign of life may not.
        options = {"timeout": 300, "call_monitor_timeout": 60}
        self.client = oslo_messaging.get_rpc_client(transport, target, **options)
        self.told = Told()
        self.listener = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(cfg.CONF, url=url),
            [oslo_messaging.Target(topic="notifications")],
            [self.told],
            executor="threading",
        )
        self.listener.start()

    def call(self, method: str, **args: Any) -> Any:
        say(method)
        return self.client.call({"request_id": f"req-{method}", "project_id": "p1"}, method, **args)

    def fails(self, exc_type: str, method: str, **args: Any) -> None:
        try:
            self.call(method, **args)
        except oslo_messaging.RemoteError as error:
            if error.exc_type != exc_type:
                raise
            return
        raise AssertionError(f"{method} didn't fail with {exc_type}")


def expect(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def say(line: str) -> None:
    print(line, flush=True)


def run(story: Story, host: str, guest: dict[str, Any], volume: dict[str, Any]) -> None:
    uuid = guest["uuid"]
    expect(story.call("spawn", instance=guest)["power_state"], "running")
    publisher, _, payload = story.told.wait("compute.instance.power_state", instance_id=uuid, new="running")
    expect((publisher, payload["request_id"]), (f"compute.{host}", "req-spawn"))

    expect(story.call("spawn", instance=guest)["already"], True)
    story.fails("Conflict", "spawn", instance=guest | {"vcpus": 2})
    story.fails("NotFound", "stop", instance_uuid="00000000-0000-4000-8000-000000000000")
    story.fails("InvalidRequest", "stop", instance_uuid=uuid, gracefull=True)
    story.fails("NoSuchMethod", "live_migrate", instance_uuid=uuid)

    volume_id = volume["data"]["volume_id"]
    expect(story.call("attach_volume", instance_uuid=uuid, connection_info=volume)["attached"], volume_id)

    def under_way() -> None:
        story.call("detach_volume", instance_uuid=uuid, volume_id=volume_id)
        detached.set()

    detached = threading.Event()
    threading.Thread(target=under_way, daemon=True).start()
    wait_for(lambda: story.call("list_operations", method_="detach_volume")["operations"])
    say("RESTART")
    sys.stdin.readline()
    # The library tries again until the broker is there; so does the agent, whose answer to the first call is owed.
    expect(story.call("pause", instance_uuid=uuid)["power_state"], "paused")
    story.told.wait("compute.instance.power_state", instance_id=uuid, new="paused")
    if not detached.wait(WAIT_S):
        raise AssertionError("the call from before the restart has no answer")

    expect(story.call("unpause", instance_uuid=uuid)["power_state"], "running")
    story.call("destroy", instance_uuid=uuid)
    story.told.wait("compute.instance.destroy.end", instance_id=uuid)
    expect(story.call("destroy", instance_uuid=uuid)["instance_uuid"], uuid)  # once more is no error
    story.fails("NotFound", "start", instance_uuid=uuid)
    story.told.wait("compute.instance.start.error", instance_id=uuid)


def wait_for(look: Any) -> None:
    end = time.monotonic() + WAIT_S
    while not look():
        if time.monotonic() > end:
            raise AssertionError("it didn't come about")
        time.sleep(0.2)


def main() -> int:
    url, exchange, host, guest, volume = sys.argv[1:]
    story = Story(url, exchange, host)
    run(story, host, json.loads(guest), json.loads(volume))
    say("THE END")
    return 0


if __name__ == "__main__":
    sys.exit(main())
