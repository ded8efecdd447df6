"""oslo.messaging at the other end of a pipe: a line of JSON is done, a line of JSON tells what came of it.

Plain oslo.messaging: nothing of the agent is imported here, and it runs under any of its releases.

    {"id": 1, "do": "call", "method": "ping", "args": {}, ...}  ->  {"id": 1, "result": {...}}
                                                                    {"id": 1, "raised": "RemoteError", ...}
"""

import collections
import json
import logging
import sys
import threading
import traceback
import uuid
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import oslo_messaging
from oslo_config import cfg

WRITING = threading.Lock()


def write(line: dict[str, Any]) -> None:
    with WRITING:
        sys.stdout.write(json.dumps(line, default=str) + "\n")
        sys.stdout.flush()


class Endpoint:
    """Takes what is notified, of every priority."""

    def __getattr__(self, priority: str) -> Callable[..., None]:
        if priority not in ("info", "error", "warn", "debug"):
            raise AttributeError(priority)

        def note(ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any) -> None:
            told = {"publisher_id": publisher_id, "event_type": event_type, "payload": payload}
            write({"notification": {"priority": priority, "ctxt": ctxt, "metadata": metadata, **told}})

        return note


class Host:
    """An agent written with oslo.messaging: what another server of the contract might be."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self, host: str) -> None:
        self.host = host
        self.may_pause: dict[str, threading.Event] = collections.defaultdict(threading.Event)

    def ping(self, ctxt: Any) -> dict[str, str]:
        return {"observed_at": "2030-01-01T00:00:00Z", "host": self.host, "agent_version": "oslo"}

    def get_host(self, ctxt: Any) -> str:
        return "not what the contract says"

    def stop(self, ctxt: Any, instance_uuid: str, **others: Any) -> None:
        write({"asked": {"method": "stop", "ctxt": ctxt, "instance_uuid": instance_uuid, "others": others}})
        raise ValueError("no such guest")

    def pause(self, ctxt: Any, instance_uuid: str) -> dict[str, str]:
        """Takes until it is let."""
        write({"asked": {"method": "pause", "instance_uuid": instance_uuid}})
        self.may_pause[instance_uuid].wait()
        return {"operation_id": str(uuid.uuid4()), "instance_uuid": instance_uuid, "power_state": "paused"}


class Program:
    def __init__(self, url: str, exchange: str, allowed: list[str]) -> None:
        self.url = url
        self.conf = cfg.CONF
        self.conf([])
        oslo_messaging.set_transport_defaults(control_exchange=exchange)
        self.transport = oslo_messaging.get_rpc_transport(self.conf, url=url, allowed_remote_exmods=allowed)
        self.kept: list[Any] = []

    def client(self, target: dict[str, Any], options: dict[str, Any], at_least_once: bool) -> Any:
        # Releases before 14.1 have no function for it.
        make = getattr(oslo_messaging, "get_rpc_client", None) or oslo_messaging.RPCClient
        client = make(self.transport, oslo_messaging.Target(**target), **options)
        if not at_least_once:
            return client
        return client.prepare(transport_options=oslo_messaging.TransportOptions(at_least_once=True))

    def do_call(
        self, method: str, args: Any, ctxt: Any, target: Any, options: Any, at_least_once: bool = False
    ) -> Any:
        return self.client(target, options, at_least_once).call(ctxt, method, **args)

    def do_cast(
        self, method: str, args: Any, ctxt: Any, target: Any, options: Any, at_least_once: bool = False
    ) -> Any:
        return self.client(target, options, at_least_once).cast(ctxt, method, **args)

    def do_listen(self, topic: str) -> str:
        transport = oslo_messaging.get_notification_transport(self.conf, url=self.url)
        listener = oslo_messaging.get_notification_listener(
            transport, [oslo_messaging.Target(topic=topic)], [Endpoint()], executor="threading"
        )
        listener.start()
        self.kept.append(listener)
        return "listening"

    def do_serve(self, topic: str, server: str) -> str:
        target = oslo_messaging.Target(topic=topic, server=server)
        self.host = Host(server)
        serving = oslo_messaging.get_rpc_server(self.transport, target, [self.host], executor="threading")
        serving.start()
        self.kept.append(serving)
        return "serving"

    def do_let_pause(self, instance_uuid: str) -> None:
        self.host.may_pause[instance_uuid].set()

    def do_version(self) -> str:
        return version("oslo.messaging")

    def run(self, line: dict[str, Any]) -> None:
        number, what = line.pop("id"), line.pop("do")
        try:
            write({"id": number, "result": getattr(self, f"do_{what}")(**line)})
        except Exception as error:
            told: dict[str, Any] = {"id": number, "raised": type(error).__name__, "text": str(error)}
            if isinstance(error, oslo_messaging.RemoteError):
                told |= {"exc_type": error.exc_type, "value": error.value, "traceback": error.traceback}
            else:
                told["details"] = getattr(error, "details", None)
                traceback.print_exc()
            write(told)


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    program = Program(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        threading.Thread(target=program.run, args=[json.loads(line)], daemon=True).start()


if __name__ == "__main__":
    main()
