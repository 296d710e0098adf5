from tests.handlers.conftest import clock, cloud, pytest_pyfunc_call, razorpay, running_razorpay, service

__all__ = ["clock", "cloud", "pytest_pyfunc_call", "razorpay", "running_razorpay", "service"]
