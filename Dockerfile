# syntax=docker/dockerfile:1

# The agent in a container beside the host's libvirt:
#
#   docker build -t compute-agent .
#   docker run --network host -v /run/libvirt:/run/libvirt -v /var/lib/compute-agent:/var/lib/compute-agent \
#       -v /etc/compute-agent:/etc/compute-agent:ro --group-add "$(getent group libvirt | cut -d: -f3)" compute-agent
#
# The state directory has the same path outside and inside: libvirt and QEMU, on the host, open the disks by the
# paths that the agent names. It belongs to the image's user: `docker run --rm --entrypoint id compute-agent` tells its
# number. --group-add is the host's number of the group that owns libvirt's socket. There is no QEMU in here to find
# out with whether KVM works: where it does, add `-e COMPUTE_AGENT_HYPERVISOR__VIRT_TYPE=kvm`, or guests are emulated.

FROM debian:bookworm-slim AS build
ENV DEBIAN_FRONTEND=noninteractive
# libvirt-python has no wheels; all else comes built.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        gcc libc6-dev libvirt-dev pkg-config python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/compute-agent
COPY requirements/runtime.txt /src/requirements/
RUN /opt/compute-agent/bin/pip install --no-cache-dir --require-hashes --no-deps \
        --requirement /src/requirements/runtime.txt
# After the requirements, so that a change of the code doesn't install them again.
COPY pyproject.toml README.md /src/
COPY agent /src/agent
RUN /opt/compute-agent/bin/pip install --no-cache-dir --no-deps /src

FROM debian:bookworm-slim
ENV DEBIAN_FRONTEND=noninteractive
# libvirt's client library and qemu-img; block-extra for images on iSCSI, NFS and RBD; what makes file systems on
# ephemeral disks.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates dosfstools e2fsprogs libvirt0 python3 qemu-block-extra qemu-utils \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/compute-agent --shell /usr/sbin/nologin compute-agent \
    && install -d -m 0711 -o compute-agent -g compute-agent /var/lib/compute-agent
COPY --from=build /opt/compute-agent /opt/compute-agent
ENV PATH=/opt/compute-agent/bin:$PATH PYTHONUNBUFFERED=1
USER compute-agent
VOLUME /var/lib/compute-agent
# Time for what is under way to finish or be journaled, as in the systemd unit.
STOPSIGNAL SIGTERM
ENTRYPOINT ["compute-agent"]
