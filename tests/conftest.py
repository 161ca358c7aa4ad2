"""For every test: how long a busy machine takes to make an example says nothing of the product."""

from hypothesis import HealthCheck, settings

settings.register_profile("threadseek", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("threadseek")
