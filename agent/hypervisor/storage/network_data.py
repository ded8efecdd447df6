"""What the guest is told of its network, in OpenStack's format (`network_data.json`). Pure.

https://docs.openstack.org/nova/latest/user/metadata.html describes it; cloud-init reads it. A link is an
interface, a network an address on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any, TypeVar

from agent.errors import InvalidRequest
from agent.spec import AnyInterface, FixedIp

T = TypeVar("T")

LINK_TYPE = {"bridge": "bridge", "network": "vif", "user": "vif"}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def network_data(interfaces: Sequence[AnyInterface]) -> dict[str, Any]:
    """`links`, `networks` and `services`. An interface without addresses is told to use DHCP.

    Raises InvalidRequest for an address that can't be read.
    """
    networks = [network for place, interface in enumerate(interfaces) for network in _networks(place, interface)]
    return {
        "links": [_link(place, interface) for place, interface in enumerate(interfaces)],
        "networks": [{"id": f"network{place}", **network} for place, network in enumerate(networks)],
        "services": _services(interfaces),
    }


def _link(place: int, interface: AnyInterface) -> dict[str, Any]:
    return {
        "id": _link_id(place),
        "vif_id": interface.port_id,
        "type": LINK_TYPE[interface.type],
        "mtu": interface.mtu,
        "ethernet_mac_address": interface.mac_address,
    }


def _link_id(place: int) -> str:
    return f"interface{place}"


def _networks(place: int, interface: AnyInterface) -> Iterator[dict[str, Any]]:
    if not interface.fixed_ips:
        yield {"link": _link_id(place), "type": "ipv4_dhcp", "network_id": interface.port_id}
    for number, fixed in enumerate(interface.fixed_ips):
        field = f"instance.interfaces[{place}].fixed_ips[{number}]"
        address = _read(ip_interface, fixed.address, f"{field}.address", "an address with its prefix length")
        yield {
            "link": _link_id(place),
            "type": f"ipv{address.version}",
            "ip_address": str(address.ip),
            "netmask": str(address.netmask),
            "routes": _routes(fixed, address, field),
            "network_id": interface.port_id,
            "services": _dns(interface.dns_servers),
        }


def _routes(fixed: FixedIp, address: IPv4Interface | IPv6Interface, field: str) -> list[dict[str, str]]:
    wanted = [(route.destination, route.gateway, f"{field}.routes[{n}]") for n, route in enumerate(fixed.routes)]
    if fixed.gateway is not None:
        wanted.insert(0, (DEFAULT[address.version], fixed.gateway, field))
    return [_route(*route, version=address.version) for route in wanted]


def _route(destination: str, gateway: str, field: str, *, version: int) -> dict[str, str]:
    network: IPv4Network | IPv6Network = _read(ip_network, destination, f"{field}.destination", "a CIDR")
    via = _read(ip_address, gateway, f"{field}.gateway", "an address")
    if network.version != version or via.version != version:
        raise InvalidRequest.field(f"{field}.gateway", f"not IPv{version}, as the address is", "use one family")
    return {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "gateway": str(via),
    }


def _services(interfaces: Sequence[AnyInterface]) -> list[dict[str, str]]:
    return _dns(address for interface in interfaces for address in interface.dns_servers)


def _dns(addresses: Iterable[str]) -> list[dict[str, str]]:
    """Each once, in the order given."""
    return [{"type": "dns", "address": address} for address in dict.fromkeys(addresses)]


def _read(parse: Callable[[str], T], text: str, field: str, what: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise InvalidRequest.field(field, f"not {what}", f"give {what}") from None
