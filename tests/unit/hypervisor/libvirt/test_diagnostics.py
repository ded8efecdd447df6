"""libvirt's counters under nova's names."""

from __future__ import annotations

from agent.hypervisor.libvirt.diagnostics import named

STATS = {
    "cpu.time": 9,
    "vcpu.current": 2,
    "vcpu.maximum": 2,
    "vcpu.0.state": 1,
    "vcpu.0.time": 4_000_000_000,
    "vcpu.1.time": 5_000_000_000,
    "balloon.current": 131072,
    "balloon.maximum": 262144,
    "balloon.rss": 300000,
    "balloon.last-update": 17,
    "net.count": 1,
    "net.0.name": "tap1",
    "net.0.rx.bytes": 1,
    "net.0.rx.pkts": 2,
    "net.0.rx.errs": 3,
    "net.0.rx.drop": 4,
    "net.0.tx.bytes": 5,
    "net.0.tx.pkts": 6,
    "net.0.tx.errs": 7,
    "net.0.tx.drop": 8,
    "block.count": 2,
    "block.0.name": "vda",
    "block.0.rd.reqs": 11,
    "block.0.rd.bytes": 12,
    "block.0.wr.reqs": 13,
    "block.0.wr.bytes": 14,
    "block.0.allocation": 99,
    "block.1.name": "sda",
}


def test_each_counter_has_novas_name() -> None:
    assert named(STATS) == {
        "cpu0_time": 4_000_000_000,
        "cpu1_time": 5_000_000_000,
        "memory": 262144,
        "memory-actual": 131072,
        "memory-rss": 300000,
        "memory-last_update": 17,
        "vda_read": 12,
        "vda_read_req": 11,
        "vda_write": 14,
        "vda_write_req": 13,
        "vda_errors": -1,
        "sda_errors": -1,
        "tap1_rx": 1,
        "tap1_rx_packets": 2,
        "tap1_rx_errors": 3,
        "tap1_rx_drop": 4,
        "tap1_tx": 5,
        "tap1_tx_packets": 6,
        "tap1_tx_errors": 7,
        "tap1_tx_drop": 8,
    }


def test_what_a_busy_guest_doesnt_tell_is_left_out() -> None:
    assert named({"vcpu.0.time": 1}) == {"cpu0_time": 1}
    assert named({"net.count": 1}) == {}


def test_nothing_said_is_nothing_told() -> None:
    assert named({}) == {}
