"""The service's rules, without side effects: no AWS, gateway, clock, environment or log. Time is an argument."""
