"""Alarms on an expression over several metrics.

Stock: CloudFormation refuses the alarm, and with it the stack.

AWS: it is created and evaluated.

Why it matters: one alarm reports throttling of any function. Here it is created but never fires: its metric is the
expression's id, for which nobody sends data.
"""

from ministack.services.cloudformation import provisioners

NAMESPACE = "Expression"


def apply():
    """Let the stock code create an alarm on a metric that does not exist."""
    stock = provisioners._cw_metric_alarm_record

    def record(name, properties):
        results = [query["Id"] for query in properties.get("Metrics") or [] if query.get("ReturnData") is not False]
        if not results:
            return stock(name, properties)
        (result,) = results
        rest = {key: value for key, value in properties.items() if key != "Metrics"}
        return stock(name, {**rest, "MetricName": result, "Namespace": NAMESPACE})

    provisioners._cw_metric_alarm_record = record
