from hypothesis import settings

# The blob of a failing example goes into the report, so that a failure on another machine can be replayed here.
# No deadline: a busy machine is no failure.
settings.register_profile("payments", max_examples=60, print_blob=True, deadline=None)
settings.load_profile("payments")
