"""Settings for every test: hypothesis without deadlines, because machines are noisy."""

from hypothesis import HealthCheck, settings

settings.register_profile("idmerge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("idmerge")
