"""How the property tests of the core run."""

from hypothesis import HealthCheck, settings

# The same examples every time, and no stopwatch: a slow machine is no defect. To go exploring:
# pytest --hypothesis-profile=default tests/core
settings.register_profile(
    "landfall", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("landfall")
