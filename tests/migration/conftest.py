from tests.handlers.conftest import clock, cloud, pytest_pyfunc_call, razorpay, running_razorpay, service
from tests.table.conftest import metered

__all__ = ["clock", "cloud", "metered", "pytest_pyfunc_call", "razorpay", "running_razorpay", "service"]
