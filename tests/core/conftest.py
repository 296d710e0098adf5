from hypothesis import settings

# The report includes the failing example's blob, so that a failure elsewhere can be replayed here. No deadline: a slow
# machine is not a failure.
settings.register_profile("payments", max_examples=60, print_blob=True, deadline=None)
settings.load_profile("payments")
