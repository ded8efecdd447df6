"""A compute agent: commands from RabbitMQ become running libvirt guests, one daemon on each hypervisor."""
