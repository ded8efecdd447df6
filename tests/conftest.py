"""How many examples hypothesis tries where a test says nothing of its own.

pytest                               many: the core tier
pytest --hypothesis-profile=quick    a few: what scripts/check has seconds for
pytest --hypothesis-profile=long     very many: scripts/test --all
"""

from hypothesis import HealthCheck, settings

# No deadline: a busy machine isn't a slow test.
settings.register_profile("many", max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("quick", settings.get_profile("many"), max_examples=10)
settings.register_profile("long", settings.get_profile("many"), max_examples=600)
settings.load_profile("many")
