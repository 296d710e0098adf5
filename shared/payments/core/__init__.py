"""The rules of the service, pure: no AWS, no gateway, no clock, no environment, no log. Time is always an argument."""
