"""The trial of examples/scheduler: real agents with make-believe guests; one is killed, and the scheduler too."""
