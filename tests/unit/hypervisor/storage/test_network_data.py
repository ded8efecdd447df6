from __future__ import annotations

from typing import Any

import pytest

from agent.errors import InvalidRequest
from agent.hypervisor.storage.network_data import network_data
from tests.unit.hypervisor.storage.specs import interface, spec


def told(*interfaces: dict[str, Any]) -> dict[str, Any]:
    return network_data(spec(interfaces=interfaces).interfaces)


def test_an_interface_without_addresses_is_told_to_use_dhcp() -> None:
    assert told(interface(mtu=1450)) == {
        "links": [
            {
                "id": "interface0",
                "vif_id": "port-1",
                "type": "bridge",
                "mtu": 1450,
                "ethernet_mac_address": "52:54:00:00:00:01",
            }
        ],
        "networks": [{"id": "network0", "link": "interface0", "type": "ipv4_dhcp", "network_id": "port-1"}],
        "services": [],
    }


def test_a_static_ipv4_address_has_netmask_default_route_and_dns() -> None:
    fixed = {"address": "192.0.2.5/24", "gateway": "192.0.2.1"}
    data = told(interface(fixed_ips=[fixed], dns_servers=["192.0.2.53"]))
    dns = {"type": "dns", "address": "192.0.2.53"}
    assert data["networks"] == [
        {
            "id": "network0",
            "link": "interface0",
            "type": "ipv4",
            "ip_address": "192.0.2.5",
            "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"}],
            "network_id": "port-1",
            "services": [dns],
        }
    ]
    assert data["services"] == [dns]


def test_a_static_ipv6_address_is_told_the_same_way() -> None:
    fixed = {
        "address": "2001:db8::5/64",
        "gateway": "2001:db8::1",
        "routes": [{"destination": "2001:db8:1::/48", "gateway": "2001:db8::2"}],
    }
    (network,) = told(interface(fixed_ips=[fixed]))["networks"]
    assert (network["type"], network["ip_address"], network["netmask"]) == (
        "ipv6",
        "2001:db8::5",
        "ffff:ffff:ffff:ffff::",
    )
    assert network["routes"] == [
        {"network": "::", "netmask": "::", "gateway": "2001:db8::1"},
        {"network": "2001:db8:1::", "netmask": "ffff:ffff:ffff::", "gateway": "2001:db8::2"},
    ]


def test_each_address_is_a_network_of_its_own_on_the_right_link() -> None:
    two = interface("port-2", fixed_ips=[{"address": "192.0.2.5/24"}, {"address": "2001:db8::5/64"}])
    networks = told(interface("port-1"), two)["networks"]
    assert [(network["id"], network["link"], network["type"]) for network in networks] == [
        ("network0", "interface0", "ipv4_dhcp"),
        ("network1", "interface1", "ipv4"),
        ("network2", "interface1", "ipv6"),
    ]


def test_a_dns_server_of_two_interfaces_is_one_service() -> None:
    data = told(interface("a", dns_servers=["192.0.2.53"]), interface("b", dns_servers=["192.0.2.53"]))
    assert len(data["services"]) == 1


@pytest.mark.parametrize(
    ("fixed", "field"),
    [
        ({"address": "192.0.2.500/24"}, "address"),
        ({"address": "192.0.2.5/24", "gateway": "here"}, "gateway"),
        ({"address": "192.0.2.5/24", "gateway": "2001:db8::1"}, "gateway"),
        ({"address": "192.0.2.5/24", "routes": [{"destination": "x", "gateway": "192.0.2.1"}]}, "destination"),
        ({"address": "192.0.2.5/24", "routes": [{"destination": "::/0", "gateway": "::1"}]}, "gateway"),
    ],
)
def test_an_address_that_cant_be_read_is_named(fixed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        told(interface(), interface("p2", fixed_ips=[{"address": "192.0.2.4/24"}, fixed]))
    path = caught.value.details["fields"][0]["path"]
    assert path.startswith("instance.interfaces[1].fixed_ips[1]")
    assert path.endswith(field)
