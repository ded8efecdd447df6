"""The disks of this host: images in a cache, instances' disks on them, volumes from elsewhere.

`disks.LocalDisks` and `volumes.HostVolumes` are the ports `Disks` and `Volumes` of the libvirt driver; the
rest are their parts, each one thing. Nothing in here knows libvirt.

    disks ──> images ──> store          one copy of each image, shared by all overlays on it
      │         └──────> sources        where an image comes from: a file of the host, http
      ├─────> qemu_img, filesystems     child programs, bounded in time, memory and CPU
      └─────> config_drive              what the guest is told
"""
